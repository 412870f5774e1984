"""Reading, checking and augmenting audio: noise, reverberation, augmented copies.

May import: models, spaces.files.
"""
