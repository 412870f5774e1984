"""What a trial or a model costs: memory of a step, checkpoint size, MACs, CPU latency."""
