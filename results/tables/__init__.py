"""The tables of a run: columns, rows, file formats, queries.

May import: spaces, trainable.loss, trainable.training, trainable.verification, results.analysis,
results.journal, results.records.
"""
