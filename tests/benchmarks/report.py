"""How a benchmark ends."""

import sys


def finish(name: str, *, ratio: float, target: float) -> None:
    """Print the verdict and exit, with status 1 if the target was missed."""
    met = ratio >= target
    print(f"{name}: ratio={ratio:.2f} target={target:.2f} {'ok' if met else 'missed'}")
    sys.exit(0 if met else 1)
