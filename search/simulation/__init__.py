"""Searches on a simulated clock: the real decisions on given learning curves, without Ray.

May import: results.journal, results.records, search.loop.
"""
