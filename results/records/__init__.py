"""The records of a journal: a class an event, the rules of its values, and their refusal in words.

May import: trainable.report.
"""
