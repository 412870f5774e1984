"""The one training loop and its users: search trials, single runs, full retraining.

May import: models, spaces.files, trainable.checkpoints, trainable.config, trainable.corpus,
trainable.features, trainable.loss, trainable.machine, trainable.store, trainable.teachers,
trainable.verification.
"""
