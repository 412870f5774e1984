"""Results computed from the journal: ranking, cost, faults, scores, speed.

May import: spaces, trainable.verification, results.journal.
"""
