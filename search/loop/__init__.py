"""The search itself, without Ray: the next trial, early stopping, faults, the end.

May import: spaces, trainable.config, trainable.machine, results.analysis, results.journal,
results.records, search.config, search.guided, search.suggest.
"""
