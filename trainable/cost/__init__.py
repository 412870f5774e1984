"""What a trial or model costs: memory of a step, checkpoint size, MACs, CPU latency.

May import: models, spaces.files, trainable.
"""
