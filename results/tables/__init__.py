"""The tables of a run: columns, rows, file formats, queries; `RunView`, a snapshot of one run.

May import: spaces, trainable.config, trainable.loss, trainable.verification, results.analysis,
results.journal.
"""
