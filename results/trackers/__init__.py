"""The journal in other programs' forms: Optuna study, TensorBoard, optuna-dashboard.

May import: spaces, results.analysis, results.journal, results.tables.
"""
