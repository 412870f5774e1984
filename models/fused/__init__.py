"""Layers as single functions with their own gradients, for speed on a CPU or a GPU.

May import: nothing of Veer.
"""
