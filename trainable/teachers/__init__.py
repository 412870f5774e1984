"""Every kind of teacher: network, stored targets, file of embeddings, plug-in process.

May import: models, spaces.files, trainable.audio, trainable.checkpoints, trainable.corpus,
trainable.features, trainable.foreign_models, trainable.list_formats, trainable.loss,
trainable.machine, trainable.store, trainable.verification.
"""
