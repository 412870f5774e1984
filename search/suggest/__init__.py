"""What to try next: Optuna asked and told, the samplers, starting points.

May import: spaces, trainable.config, trainable.features, results.
"""
