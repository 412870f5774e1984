"""Searches as jobs of a Ray cluster: their command, the job server, results brought back.

May import: spaces.files, results.journal, search.cluster, search.provenance,
search.remote.
"""
