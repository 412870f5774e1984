"""`veer gap`: promised and full VEERs, ranks, and the verdict in words."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from results.analysis.run_view import RunView
from results.gap.gap import FullTraining, find_gap, read_full_training
from results.gap.page import gap_chart, write_gap_page
from results.gap.view import TOO_FEW, gap_in_words, gap_view, warnings_of
from spaces.files.errors import RunError
from spaces.files.yaml_file import read_yaml, write_yaml
from tests.search.commands import veer
from tests.worlds.journals import changed
from tests.worlds.made_up_run import write_made_up_run
from tests.worlds.trained_run import train_both, write_full_training, write_trained_run
from tests.worlds.views import text_of
from trainable.config.trial_config import TrialConfig


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return RunView.read(write_made_up_run(tmp_path_factory.mktemp("runs") / "run", 6))


def epoch(number: int, veer_pct: float | None, half: float | None = None) -> dict[str, Any]:
    interval = {}
    if half is not None and veer_pct is not None:
        interval = {"veer_low_pct": veer_pct - half, "veer_high_pct": veer_pct + half}
    return {"epoch": number, "veer_pct": veer_pct, **interval}


def trained(view: RunView, rank: int, *history: dict[str, Any]) -> FullTraining:
    config = TrialConfig.model_validate(view.ranked[rank - 1].started.config)
    longer = config.training.model_copy(update={"max_epochs": 500})
    return FullTraining(
        name=f"full-{rank}",
        trial=config.model_copy(update={"training": longer, "seed": 7}),
        history=history,
        val_list=Path("val.txt"),
    )


def test_a_training_is_beside_its_trial_and_at_the_same_epoch(view: RunView) -> None:
    promised = view.ranked[1].best
    assert promised is not None
    history = [epoch(promised.epoch, 8.5), epoch(400, 4.25, 1.0), epoch(500, 4.5)]
    gap = find_gap(view, [trained(view, 2, *history)])
    (row,) = gap.rows
    assert (row.trial, row.search_rank, row.full_rank) == (view.ranked[1].trial, 2, 1)
    assert (row.promised.veer_pct, row.promised.epoch) == (promised.veer_pct, promised.epoch)
    assert row.same_epoch is not None
    assert row.same_epoch.veer_pct == 8.5
    assert (row.full.veer_pct, row.full.epoch, row.full.low_pct) == (4.25, 400, 3.25)
    assert [name for name, *_ in row.differences] == ["training.max_epochs"]
    assert gap_in_words(gap) == TOO_FEW
    assert "4.25 (3.2-5.2), epoch 400" in text_of(gap_view(gap))


def test_a_trial_of_another_version_is_compared_as_it_was_written(view: RunView) -> None:
    training = trained(view, 1, epoch(1, 5.0))
    started = view.ranked[0].started
    other = changed(started, config=started.config | {"of": "another version"})
    (row,) = find_gap(view.with_records(other), [training]).rows
    assert ("of", "another version", None) in row.differences


def test_the_page_has_both_curves_of_a_training_in_one_colour(
    view: RunView, tmp_path: Path
) -> None:
    history = [epoch(1, 9.0), epoch(2, None), epoch(400, 4.25, 1.0)]
    # A trial that was trained twice has one curve in the search.
    other = replace(trained(view, 2, epoch(1, 8.0)), name="again")
    gap = find_gap(view, [trained(view, 2, *history), other])
    in_search, in_full, again = gap_chart(gap).data
    assert again.line.color != in_full.line.color
    assert (in_full.x, in_full.y) == ((1, 400), (9.0, 4.25))
    trial = view.ranked[1]
    assert in_search.name == f"trial {trial.trial} in the search"
    assert in_search.y == tuple(each.veer_pct for each in trial.in_order)
    assert in_search.line.color == in_full.line.color
    write_gap_page(tmp_path / "gap.html", gap)
    page = (tmp_path / "gap.html").read_text()
    assert "4.25 (3.2-5.2), epoch 400" in page
    assert f"F{TOO_FEW[1:]}." in page


@pytest.mark.parametrize(
    ("best", "half", "words"),
    [
        ((4.0, 5.0, 6.0, 7.0), 0.1, "can be trusted to choose among these: 6 pairs .* 24 times"),
        ((4.0, 5.0, 6.0), 0.1, "not contradicted: 3 pairs .* in its order, .* once in 6 times"),
        ((5.0, 4.0, 6.0), 3.0, "not contradicted: 1 of 3 pairs"),
        ((5.0, 4.0, 6.0), None, "not contradicted: 1 of 3 pairs"),
        ((6.0, 5.0, 1.0), 0.6, "cannot be trusted to choose: 3 of 3 pairs .*, 2 by more"),
    ],
)
def test_the_order_of_full_trainings_gives_the_verdict(
    best: tuple[float, ...], half: float | None, words: str, view: RunView
) -> None:
    trainings = [trained(view, i + 1, epoch(300, pct, half)) for i, pct in enumerate(best)]
    # The order in which they are given does not count.
    gap = find_gap(view, trainings[::-1])
    assert [row.search_rank for row in gap.rows] == list(range(1, len(best) + 1))
    assert re.search(words, gap_in_words(gap))


def test_a_folder_that_is_given_twice_is_refused(view: RunView) -> None:
    twice = [trained(view, 1, epoch(1, 5.0)), trained(view, 1, epoch(1, 5.0))]
    with pytest.raises(RunError, match=r"full-1 must be given once, got it 2 times"):
        find_gap(view, twice)


def test_another_config_is_refused_with_the_nearest_trial(view: RunView) -> None:
    training = trained(view, 1, epoch(1, 5.0))
    faster = training.trial.training.model_copy(update={"lr": 0.5})
    other = training.trial.model_copy(update={"training": faster})
    with pytest.raises(RunError, match=r"full-1 must train .*nearest is trial \d+, .*training.lr"):
        find_gap(
            view,
            [FullTraining(name="full-1", trial=other, history=training.history, val_list=Path())],
        )


def test_folders_are_read_and_other_lists_are_warned_of(tmp_path: Path) -> None:
    both = train_both(tmp_path / "trained")
    run = write_trained_run(tmp_path, both)
    student = write_full_training(tmp_path / "full", both, tmp_path)
    page = tmp_path / "gap.html"
    shown = json.loads(veer("gap", run.path, student, "--json", "--page", page).output)
    assert "VEER by epoch" in page.read_text()
    (row,) = shown["rows"]
    assert row["promised"] == row["full"]
    assert row["same_epoch"] == row["full"]
    assert shown["is_list_same"] is True
    config = read_yaml(student / "config.yaml").data
    config["corpus"]["val_list"] = str(both.folder / "corpus" / "veri_val.txt")
    write_yaml(student / "config.yaml", config)
    gap = find_gap(RunView.read(run), [read_full_training(student)])
    assert list(warnings_of(gap)) == [
        "the validation lists differ, so the VEERs cannot be compared"
    ]
    with pytest.raises(RunError, match=r"must be the folder of a training run, with config.yaml"):
        read_full_training(tmp_path)
