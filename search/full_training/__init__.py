"""A full training on several processes, through Ray Train.

May import: models, spaces.files, trainable, search.cluster, search.loop.
"""
