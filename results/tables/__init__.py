"""The tables of a run: columns, rows, file formats, queries.

May import: spaces, trainable.loss, trainable.report, trainable.verification, results.analysis,
results.journal, results.records.
"""
