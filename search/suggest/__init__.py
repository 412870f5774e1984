"""What to try next: Optuna asked and told, samplers, starting points."""
