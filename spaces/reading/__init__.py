"""Space files: from YAML to a `Space`, with every fault at its line.

Imports `spaces.files` and the modules of `spaces`.
"""
