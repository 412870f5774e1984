"""`corpus.yaml` and the corpus that it names: reading, checks, preparation, test list ledger.

May import: spaces.files, trainable.audio, trainable.list_formats, trainable.lists.
"""
