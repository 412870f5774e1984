"""Layers as single functions with their own gradients, for speed on a CPU.

May import: nothing of Veer.
"""
