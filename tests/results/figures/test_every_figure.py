"""What holds for every figure of a run."""

import json
import math
import time
from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import pytest

from results.analysis.run_view import RunView
from results.figures import FIGURES
from results.journal.run_folder import RunFolder
from results.records.record import Record
from tests.results.figures.drawing import STARTED, all_values, trial_records

NAMES = (
    "learning_curves",
    "veer_by_latency",
    "veer_by_parameters",
    "parallel_coordinates",
    "importance",
    "slices",
    "loss_shares",
    "det_curves",
    "score_histograms",
    "timeline",
)
# Drawn by tests/results/figures/test_goals.py and test_veer_by_form.py.
OF_SEVERAL_GOALS = ("veer_by_cpu_time", "veer_by_macs", "volume_by_epoch")
OF_FORMS = ("veer_by_form",)
MAX_BYTES = 5_000_000
# Several times what an idle core takes, so that a busy one does not fail it.
MAX_CPU_S = 4.0
ViewOf = Callable[[list[Record]], RunView]


def drawn(view: RunView, name: str) -> go.Figure:
    figure = FIGURES[name](view)
    assert figure is not None
    return figure


def test_all_are_there_by_name() -> None:
    assert set(FIGURES) == {*NAMES, *OF_SEVERAL_GOALS, *OF_FORMS}
    for figure in FIGURES.values():
        assert figure.title
        assert figure.needs[0].islower()
        assert not figure.needs.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_each_is_drawn_and_valid(view: RunView, name: str) -> None:
    figure = drawn(view, name)
    plain = json.loads(figure.to_json())
    assert go.Figure(plain, skip_invalid=False).data  # Plotly checks every key and value
    numbers = [value for _, value in all_values(figure.to_dict()) if isinstance(value, float)]
    assert all(map(math.isfinite, numbers))


@pytest.mark.parametrize("name", NAMES)
def test_each_leaves_colours_of_text_and_ground_to_the_page(view: RunView, name: str) -> None:
    plain = drawn(view, name).to_dict()
    layout = plain["layout"]
    assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
    assert [path for path, _ in all_values(plain) if path.endswith("font.color")] == []
    assert not layout["template"].get("layout")


@pytest.mark.parametrize("name", NAMES)
def test_each_is_drawn_without_webgl(view: RunView, name: str) -> None:
    assert {trace.type for trace in drawn(view, name).data} <= {"scatter", "bar"}


@pytest.mark.parametrize("name", NAMES)
def test_marks_that_stand_for_a_trial_have_its_number_first(view: RunView, name: str) -> None:
    numbers = {trial.trial for trial in view.histories}
    found = {entry[0] for trace in drawn(view, name).data for entry in trace.customdata or ()}
    assert found <= numbers | {None}
    if name != "importance":
        assert view.best is not None
        assert view.best.trial in found


@pytest.mark.parametrize("name", NAMES)
def test_each_caption_is_a_full_sentence(view: RunView, name: str) -> None:
    caption = FIGURES[name].caption(view)
    assert caption[0].isupper()
    assert caption.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_each_is_left_out_where_there_is_nothing(view_of: ViewOf, name: str) -> None:
    failed = trial_records(0, [], "failed")
    assert FIGURES[name](view_of([])) is None
    assert FIGURES[name](view_of([STARTED])) is None
    assert FIGURES[name](view_of([STARTED, *failed])) is None


@pytest.mark.parametrize("name", NAMES)
def test_each_takes_a_journal_of_before_later_fields(journal_run: RunFolder, name: str) -> None:
    figure = FIGURES[name](RunView.read(journal_run))
    needs = {"veer_by_latency", "det_curves", "score_histograms", "importance"}
    assert (figure is None) == (name in needs)


@pytest.mark.parametrize("name", NAMES)
def test_text_of_elsewhere_is_no_markup(view_of: ViewOf, name: str) -> None:
    bad = "<a href='javascript:1'>%{x}\x1b[2J\u202e"
    records: list[Record] = [STARTED]
    for trial in range(8):
        params = {f"loss.{bad}": f"{bad}{trial % 3}", "model.dim": trial, bad: 0.5 * trial**2}
        records += trial_records(trial, [30.0 - trial, 20.0 - trial], params=params)
    figure = FIGURES[name](view_of(records))
    if figure is None:
        assert name in ("veer_by_latency", "veer_by_parameters", "det_curves", "score_histograms",
                        "loss_shares")  # fmt: skip
        return
    texts = [str(value) for _, value in all_values(figure.to_dict()) if isinstance(value, str)]
    assert not [text for text in texts if "<a" in text or "\x1b" in text or "\u202e" in text]
    templates = [trace.hovertemplate or "" for trace in figure.data]
    # The page's own `%{x}` are followed by a format or stand for a number, never in a value.
    assert not [text for text in templates if "&gt;%{x}" in text]


def test_a_thousand_trials_stay_small_and_quick(large: RunView) -> None:
    assert len(large.own) == 1000
    num_bytes: dict[str, int] = {}
    for name in NAMES:
        begin_s = time.process_time()
        made: Any = FIGURES[name](large)
        assert time.process_time() - begin_s < MAX_CPU_S, name
        num_bytes[name] = len(made.to_json())
        assert len(made.data) < 60, name
    assert sum(num_bytes.values()) < MAX_BYTES, num_bytes
