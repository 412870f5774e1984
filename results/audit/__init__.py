"""Whether early stopping was right: numbers, and the verdict in words."""
