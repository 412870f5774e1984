"""Files and text of any program here: YAML with line numbers, errors, atomic writes, locks, digests.

Imports nothing else of Veer.
"""
