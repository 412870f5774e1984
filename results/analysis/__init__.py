"""Numbers from the journal: ranking, cost, faults, scores, speed."""
