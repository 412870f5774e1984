"""The output of a run in the terminal: tables, one trial, sparklines, commands to copy.

May import: spaces.files, trainable.report, results.analysis, results.journal, results.records,
results.tables.
"""
