"""The one training loop and its users: search trials, single runs, full retraining.

May import: spaces.files, models, trainable.checkpoints, trainable.config, trainable.corpus,
trainable.features, trainable.foreign_models, trainable.loss, trainable.machine, trainable.report,
trainable.step, trainable.storage, trainable.store, trainable.teachers, trainable.verification.
"""
