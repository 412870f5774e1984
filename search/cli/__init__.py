"""The command line: a file a command, and what they share.

May import: models, spaces, trainable, results, search.
"""
