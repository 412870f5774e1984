"""The command line: one file for each command, and code that they share.

May import: models, spaces, trainable, results, search.
"""
