"""A model in use: waveforms in, embeddings out; lists embedded to files, speakers enrolled.

May import: models, spaces.files, trainable.audio, trainable.checkpoints, trainable.deployment,
trainable.foreign_models, trainable.list_formats, trainable.teachers, trainable.verification.
"""
