"""The journal in the forms of other programs: Optuna study, TensorBoard, optuna-dashboard."""
