"""The tables of a run: columns, rows, formats, queries; `RunView`, one run at one moment.

May import: spaces, trainable.config, trainable.loss, trainable.verification, results.analysis,
results.journal.
"""
