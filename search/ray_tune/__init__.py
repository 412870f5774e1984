"""Adapters to Ray Tune: driver, searcher, scheduler, callbacks, actors.

May import: spaces.files, trainable.config, trainable.machine, trainable.report,
trainable.training, search.cluster, search.config, search.loop.
"""
