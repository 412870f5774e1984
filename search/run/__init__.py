"""One run of a search, from settings to results, and the progress shown meanwhile.

May import: models, spaces, trainable, results.analysis, results.export, results.journal,
results.records, results.page, results.tables, results.terminal, results.trackers, search.cluster,
search.config, search.estimates, search.guided, search.loop, search.provenance, search.ray_tune,
search.remote, search.review, search.suggest, search.use.
"""
