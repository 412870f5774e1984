"""Folders of an object store, and working copies of them on this machine.

May import: spaces.files.
"""
