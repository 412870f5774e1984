"""One training step: batch, loss, gradients, optimizer, averages, and its measurement.

May import: spaces.files, models, trainable.checkpoints, trainable.config, trainable.loss,
trainable.machine.
"""
