"""Audits of early stopping: the measures, their results, and a verdict in words.

May import: results.analysis, results.journal.
"""
