"""How a benchmark ends."""

import sys


def finish(name: str, *, ratio: float, target: float) -> None:
    """Print the verdict and exit, with status 1 if the target was missed."""
    met = ratio >= target
    print(f"{name}: ratio={ratio:.2f} target={target:.2f} {'ok' if met else 'missed'}")
    sys.exit(0 if met else 1)


def finish_within(name: str, limits: dict[str, tuple[float, float]]) -> None:
    """Print the verdicts and exit, with status 1 if a ratio is above its limit.

    Args:
        name: The benchmark's.
        limits: By case the ratio and the most that it may be.
    """
    met = {case: ratio <= most for case, (ratio, most) in limits.items()}
    for case, (ratio, most) in limits.items():
        verdict = "ok" if met[case] else "missed"
        print(f"{name}: {case}: ratio={ratio:.3f} at most {most:.2f} {verdict}")
    sys.exit(0 if all(met.values()) else 1)
