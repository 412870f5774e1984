"""What the terminal shows of a run: tables, one trial, sparklines, commands to copy.

May import: spaces.files, results.analysis, results.journal, results.tables.
"""
