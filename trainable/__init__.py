"""Trials: data, losses, metrics, the one training loop, checkpoints."""
