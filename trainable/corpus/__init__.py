"""Train lists, trial lists and `corpus.yaml`: reading, checking, preparing, and the test list's ledger."""
