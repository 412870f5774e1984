"""The origin of a run (code, data, machine), and whether the run may be resumed.

May import: spaces.files, trainable.corpus, trainable.features, trainable.foreign_models,
trainable.lists, trainable.machine, trainable.verification, results.journal, results.records,
results.terminal, search.config, search.loop.
"""
