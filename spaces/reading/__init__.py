"""Space files: read YAML into a `Space`, and report every fault with its file and line.

May import: spaces.
"""
