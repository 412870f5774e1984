"""What a run delivers: best weights, model card, exported folder, CPU benchmark.

May import: models, spaces.files, trainable.checkpoints, trainable.config, trainable.corpus,
trainable.cost, trainable.features, trainable.machine, trainable.teachers, results.analysis,
results.journal, results.records, results.tables, results.terminal.
"""
