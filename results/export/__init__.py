"""What a run delivers: best weights, model card, exported folder, CPU benchmark.

May import: models, spaces.files, trainable.calibration, trainable.checkpoints, trainable.config,
trainable.corpus, trainable.cost, trainable.deployment, trainable.embedding, trainable.features,
trainable.lists, trainable.machine, trainable.teachers, trainable.verification, results.analysis,
results.journal, results.records, results.tables, results.terminal.
"""
