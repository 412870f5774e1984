"""Tables of float16 vectors on disk, computed once and memory-mapped by every process.

Knows nothing of audio or teachers: log-mels and teacher targets are two kinds of it.

May import: spaces.files.
"""
