"""What one trial needs, from lists of audio to a trained and evaluated model.

The code is in the folders below; each lists the rooms that it may import.

May import: nothing of Veer.
"""
