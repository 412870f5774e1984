"""The search: settings, sampler, early stopping, Ray, the command line.

This file imports nothing; each folder says what it may import.

May import: no other package of Veer.
"""
