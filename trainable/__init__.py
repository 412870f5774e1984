"""What one trial needs, from lists of audio to a trained and evaluated model.

This file imports nothing; each folder says what it may import.

May import: no other package of Veer.
"""
