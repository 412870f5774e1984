"""Results computed from the journal: ranking, cost, faults, scores, speed.

`RunView` is one run with all of them, each computed once; tables, trackers and page take it.

May import: spaces, trainable.config, trainable.verification, results.journal, results.records.
"""
