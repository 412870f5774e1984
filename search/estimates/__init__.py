"""What is known before a trial runs: epochs, disk, memory, limits, GPU share.

May import: models, spaces, trainable.checkpoints, trainable.config, trainable.cost,
trainable.machine, trainable.teachers, trainable.verification, results.analysis, results.journal,
results.records, search.cluster, search.config, search.loop, search.suggest.
"""
