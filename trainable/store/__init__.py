"""Tables of float16 vectors on disk, computed once and memory-mapped by every process.

The code here knows neither audio nor teachers: log-mels and teacher targets are two kinds of
store.

May import: spaces.files, trainable.storage.
"""
