"""Train lists and trial lists, parsed and checked: lines, pairs, the speakers of paths.

May import: spaces.files, trainable.list_formats.
"""
