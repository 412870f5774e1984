"""The loss of a trial: margin, distillation and stage terms, and what a teacher must offer.

May import: models, spaces.files, trainable.config, trainable.features,
trainable.machine.
"""
