"""Layers as one function with its own gradient, for speed on a CPU.

May import: no other package of Veer.
"""
