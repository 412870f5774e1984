"""The guided sampler: a model of the trials so far, moves from what was known before, and chance.

May import: spaces.conditions, spaces.dimensions, spaces.space, results.records.
"""
