"""Files and text, whatever is in them: YAML with lines, errors, atomic writes, locks, digests.

May import: no other package of Veer.
"""
