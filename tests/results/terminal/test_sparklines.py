"""Curves as bars."""

import math

from results.journal.history import trial_histories
from results.journal.run_folder import RunFolder
from results.terminal.sparklines import BARS, CurveScale, curve_scale, sparkline, veer_curves


def test_a_sparkline_follows_the_curve() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([7, None, 0]) == "█ ▁"
    assert sparkline([3.0, 3.0]) == "▁▁"
    assert sparkline([]) == sparkline([None]) == ""


def test_a_long_curve_is_thinned_with_both_ends_kept() -> None:
    line = sparkline([float(100 - n) for n in range(100)], width=10)
    assert len(line) == 10
    assert (line[0], line[-1]) == ("█", "▁")


def test_curves_are_read_by_trial_and_epoch(journal_run: RunFolder) -> None:
    curves = veer_curves(trial_histories(journal_run.read()))
    assert curves[0] == [20.0, 12.0, 13.0]
    assert curves[2] == [5.0, None]
    assert curves[3] == []
    assert curves[4] == [31.0]  # reported twice


def test_heights_are_logarithms_on_one_scale() -> None:
    scale = CurveScale(low_pct=1.0, high_pct=2.0**7, epochs_a_bar=1)
    assert scale.line([2.0**power for power in range(8)]) == BARS
    assert scale.line([128.0, None, 1.0]) == "█ ▁"
    # A second source: the bar nearest to 7 * log(11) / log(128).
    assert scale.line([11.0]) == BARS[round(7 * math.log(11) / math.log(128))]


def test_a_scale_holds_the_longest_curve_and_a_shorter_one_is_shorter() -> None:
    long, short = [float(100 - n) for n in range(50)], [float(100 - n) for n in range(9)]
    scale = curve_scale({0: long, 1: short})
    assert scale == CurveScale(low_pct=51.0, high_pct=100.0, epochs_a_bar=4)
    assert (len(scale.line(long)), len(scale.line(short))) == (13, 3)
    assert scale.line(long)[-1] == BARS[0]  # the last epoch, alone in its bar
    assert "4 epochs a bar" in scale.meaning


def test_a_bar_is_the_last_epoch_of_those_it_stands_for() -> None:
    scale = CurveScale(low_pct=1.0, high_pct=128.0, epochs_a_bar=3)
    assert scale.line([128.0, 1.0, 64.0, 2.0, 4.0, None]) == BARS[6] + BARS[2]


def test_without_a_veer_there_is_no_scale() -> None:
    assert curve_scale({}) is curve_scale({0: [None], 1: []}) is None


def test_a_veer_of_zero_is_drawn_at_the_bottom() -> None:
    scale = curve_scale({0: [50.0, 0.0]})
    assert scale is not None
    assert scale.line([50.0, 0.0]) == "█▁"


def test_equal_veers_are_low_bars() -> None:
    scale = curve_scale({0: [5.0, 5.0]})
    assert scale is not None
    assert scale.line([5.0, 5.0]) == "▁▁"
