"""Model files and checkpoint folders: written, verified, loaded.

May import: models, spaces.files, trainable.config, trainable.lists, trainable.machine.
"""
