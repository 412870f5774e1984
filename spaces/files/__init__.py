"""Files and text of any content: YAML with line numbers, errors, atomic writes, locks, digests.

May import: no other package of Veer.
"""
