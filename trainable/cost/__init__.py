"""What a trial or model costs: memory of a step, checkpoint size, MACs, CPU latency.

May import: models, spaces.files, trainable.checkpoints, trainable.config, trainable.features,
trainable.loss, trainable.machine, trainable.teachers, trainable.training,
trainable.verification.
"""
