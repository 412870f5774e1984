"""The journal in the formats of other programs: Optuna study, TensorBoard, MLflow, wandb.

May import: spaces, results.analysis, results.journal, results.records, results.tables.
"""
