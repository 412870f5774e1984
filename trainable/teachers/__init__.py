"""Every kind of teacher: network, stored targets, file of embeddings, plug-in process.

May import: models, spaces.files, trainable.
"""
