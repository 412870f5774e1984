"""The search: settings, sampler, early stopping, Ray, the command line.

The code is in the folders below; each lists the rooms that it may import.

May import: nothing of Veer.
"""
