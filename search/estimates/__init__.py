"""What is known before a trial runs: epochs, disk, memory, limits, GPU share."""
