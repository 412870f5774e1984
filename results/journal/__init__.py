"""The journal of a run: records written, checked, read back and gathered by trial.

May import: spaces.files.
"""
