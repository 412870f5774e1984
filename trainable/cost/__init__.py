"""What a trial or model costs: memory of a step, checkpoint size, MACs, CPU latency.

May import: spaces.files, models, trainable.checkpoints, trainable.config, trainable.features,
trainable.loss, trainable.machine, trainable.report, trainable.step, trainable.teachers,
trainable.verification.
"""
