"""Ray's nodes: connection, token, resources, signals, stores built in parallel.

May import: spaces.files, trainable.machine, trainable.storage, trainable.store, search.loop,
search.provenance.
"""
