"""The journal of a run: writing, checking and reading its records, and grouping them by trial.

May import: spaces.files, trainable.storage, results.records.
"""
