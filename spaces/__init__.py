"""Search spaces: dimensions, conditions, limits, and the config tree in which they stand.

May import: spaces.files.
"""
