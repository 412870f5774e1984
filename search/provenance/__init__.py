"""What a run came from (code, data, machine), and whether it may go on.

May import: spaces.files, trainable.corpus, trainable.features, trainable.machine, results.journal,
results.terminal, search.config, search.loop.
"""
