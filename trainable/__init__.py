"""What one trial needs, from lists of audio to a trained and evaluated model.

May import: no other package of Veer.
"""
