"""Search spaces: dimensions, conditions, limits, and the config tree that they describe.

May import: spaces.files.
"""
