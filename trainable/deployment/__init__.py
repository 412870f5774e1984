"""Trained networks as files that other programs run: ONNX, ONNX in int8, TorchScript.

May import: models, models.graph, spaces.files, trainable.audio, trainable.checkpoints,
trainable.machine.
"""
