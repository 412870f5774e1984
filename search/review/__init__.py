"""A finished run looked at again: audit, reproduction, the locked test list.

May import: models, spaces.files, trainable, results, search.config, search.estimates, search.loop,
search.provenance.
"""
