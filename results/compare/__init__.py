"""Several searches side by side.

May import: spaces.files, trainable.config, results.analysis, results.figures, results.journal,
results.records, results.tables, results.terminal.
"""
