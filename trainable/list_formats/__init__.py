"""Lists of all kinds: their text, the layout of their lines, their conversion, their files.

May import: spaces.files.
"""
