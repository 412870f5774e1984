"""A trained model in use: voices compared, scores calibrated, systems measured and fused.

May import: models, spaces.files, trainable.calibration, trainable.checkpoints, trainable.corpus,
trainable.cost, trainable.embedding, trainable.lists, trainable.loss, trainable.teachers,
trainable.verification, results.analysis, results.export, results.terminal, search.review.
"""
