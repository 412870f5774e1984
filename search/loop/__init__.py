"""The search itself, without Ray: the next trial, what a result means, when to stop.

May import: spaces, trainable.config, trainable.machine, results.analysis, results.journal,
search.config, search.suggest.
"""
