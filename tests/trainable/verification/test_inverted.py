"""An EER that is significantly above chance shows swapped labels."""

import pytest

from trainable.verification.intervals import Interval
from trainable.verification.inverted import why_inverted


@pytest.mark.parametrize(
    ("veer_pct", "interval", "num_pairs", "is_inverted"),
    [
        (76.67, Interval(low_pct=68.0, high_pct=83.0), 208, True),
        (55.0, Interval(low_pct=48.0, high_pct=61.0), 10_000, False),
        (51.0, Interval(low_pct=50.2, high_pct=52.0), 300_000, True),
        (76.67, None, 208, True),
        (76.67, None, 20, False),  # four deviations are 45 points
        (58.0, None, 300_000, False),  # pairs are not independent
        (23.33, None, 208, False),
        (23.33, Interval(low_pct=17.0, high_pct=31.0), 208, False),
    ],
)
def test_only_a_rate_significantly_above_chance_is_inverted(
    veer_pct: float, interval: Interval | None, num_pairs: int, is_inverted: bool
) -> None:
    why = why_inverted(veer_pct, interval, num_pairs, 2 * num_pairs)
    assert (why is not None) == is_inverted
    if why is not None:
        assert f"EER {veer_pct:.2f} %" in why
        assert "set labels: 0 is target in corpus.yaml" in why
