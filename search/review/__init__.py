"""Checks of a finished run: audit, reproduction, and the evaluation on the locked test list.

May import: spaces.files, models, trainable.checkpoints, trainable.config, trainable.corpus,
trainable.features, trainable.foreign_models, trainable.lists, trainable.machine, trainable.report,
trainable.teachers, trainable.training, results.analysis, results.audit, results.export,
results.journal, results.records, results.terminal, search.config, search.estimates, search.loop,
search.provenance, search.suggest.
"""
