"""What is reported of an epoch: its columns, means, and the log of a run.

May import: spaces, trainable.machine, trainable.verification.
"""
