"""Log-mels of a corpus: their store, how it is built, and crops read from it.

May import: models, spaces.files, trainable.audio, trainable.corpus, trainable.lists,
trainable.machine, trainable.store.
"""
