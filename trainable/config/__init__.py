"""What defines a trial or a full run: config classes, how they are read, bundled presets.

May import: models, spaces, trainable.corpus, trainable.features, trainable.machine.
"""
