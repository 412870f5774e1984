"""Train lists, trial lists, `corpus.yaml`: read, checked, prepared; the test list's ledger.

May import: spaces.files, trainable.audio.
"""
