"""What to try next: the Optuna study, the samplers, starting points, validation crops.

May import: spaces, trainable.config, trainable.features, results.analysis, results.journal,
results.records, results.terminal, results.trackers, search.guided.
"""
