"""Models of other programs, each run in a process of its own: plug-ins and graphs.

May import: models, spaces.files, trainable.verification.
"""
