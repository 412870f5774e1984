"""Space files: from YAML to a `Space`, every fault with its file and line.

May import: spaces.
"""
