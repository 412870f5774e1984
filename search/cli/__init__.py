"""The command line: one file for each command, and code that they share.

May import: spaces, models, trainable, results, search.cluster, search.config, search.estimates,
search.full_training, search.jobs, search.loop, search.prediction, search.provenance,
search.remote, search.review, search.run, search.suggest, search.use.
"""
