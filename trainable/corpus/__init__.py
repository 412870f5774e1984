"""Train lists, trial lists and `corpus.yaml`: reading, checks, preparation, test list ledger.

May import: spaces.files, trainable.audio.
"""
