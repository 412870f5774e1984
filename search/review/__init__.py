"""Checks of a finished run: audit, reproduction, and the evaluation on the locked test list.

May import: models, spaces.files, trainable, results, search.config, search.estimates, search.loop,
search.provenance.
"""
