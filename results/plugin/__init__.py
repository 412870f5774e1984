"""A trained model as files of voxceleb_trainer: model plug-in, weights, flat configs.

May import: models, spaces.files, trainable.checkpoints, trainable.config, trainable.corpus,
trainable.foreign_models, trainable.teachers.
"""
