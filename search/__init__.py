"""The search: settings, sampler, early stopping, Ray, the command line.

May import: no other package of Veer.
"""
