"""Log-mels of a corpus: the store they need, how it is built, crops read from it.

May import: models, spaces.files, trainable.audio, trainable.corpus, trainable.machine,
trainable.store.
"""
