"""The settings of a search, and how they are read.

May import: spaces.files, spaces.reading, trainable.config, trainable.corpus, trainable.features,
trainable.machine, search.suggest, results.journal, results.records, results.trackers.
"""
