"""One run of a search, from settings to results, and the progress shown meanwhile.

May import: models, spaces, trainable, results, search.
"""
