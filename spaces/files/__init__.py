"""Files and text of any content: YAML with line numbers, errors, atomic writes, locks, digests.

May import: nothing of Veer.
"""
