"""A model of the students of a space, fitted to the curves of earlier runs.

May import: spaces, trainable.config, results.analysis, results.journal, results.records,
search.guided, search.loop, search.simulation.
"""
