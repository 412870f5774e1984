"""Audio read, checked and changed: noise, reverberation, augmented copies.

May import: models, spaces.files.
"""
