"""The search: Ray, Optuna, early stopping, the command line."""
