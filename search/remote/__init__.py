"""A search whose run folder is in object storage: its working copy here, and who may continue it.

May import: spaces.files, trainable.checkpoints, trainable.storage, trainable.training,
results.journal, results.records.
"""
