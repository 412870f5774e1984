"""The settings of a search, and where they are read from.

May import: spaces.files, spaces.reading, trainable.corpus, trainable.features, trainable.machine,
search.suggest.
"""
