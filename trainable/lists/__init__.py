"""Train lists and trial lists: lines, foreign formats, files, speakers of paths, labels.

May import: spaces.files.
"""
