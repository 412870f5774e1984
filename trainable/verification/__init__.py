"""How well a model verifies speakers: metrics, scoring protocols, bootstrap intervals.

May import: models, spaces.files, trainable.audio, trainable.corpus, trainable.features,
trainable.lists, trainable.machine.
"""
