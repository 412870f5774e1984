"""The one training loop and its users: step, meter, full run, Ray trial."""
