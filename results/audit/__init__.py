"""Whether early stopping was right: the numbers, and the verdict in words.

May import: results.analysis, results.journal.
"""
