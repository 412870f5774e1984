"""What is known before a trial runs: epochs, disk, memory, limits, GPU share.

May import: models, spaces, trainable, results.journal, search.cluster, search.config, search.loop,
search.suggest.
"""
