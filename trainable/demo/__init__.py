"""The built-in demo corpus: synthetic speakers, sentences and recording sessions.

May import: models, spaces.files, trainable.audio, trainable.corpus, trainable.machine.
"""
