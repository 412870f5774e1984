"""How many validation crops the trials of a search have, and who decides."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from results.journal.journal import Journal, read_journal
from results.records.search_records import EvalCropsChosen
from search.config.search_config import SearchConfig
from search.loop.setup import config_maker, start_points
from search.suggest.eval_crops import (
    choose_eval_crops,
    expected_eval_share,
    teacher_eval_crops,
)
from search.suggest.suggestions import Suggestions
from spaces.files.yaml_file import write_yaml
from spaces.space import Space
from trainable.config.reading import read_trial_space

MODEL = {"family": "mlp_mixer", "hidden_dim": {"choices": [16, 32]}}


def data_of(num_train: int, num_val: int) -> SimpleNamespace:
    return SimpleNamespace(train_row=np.arange(num_train), val_row=np.arange(num_val))


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Space]:
    def make(**parts: object) -> Space:
        write_yaml(tmp_path / "own.yaml", {"model": MODEL, **parts})
        return read_trial_space(tmp_path / "own.yaml")

    return make


@pytest.fixture
def choose(tmp_path: Path) -> Callable[..., int | None]:
    """A function that chooses with the journal of all earlier calls."""

    def make(space: Space, num_train: int, num_val: int) -> int | None:
        file = tmp_path / "journal.jsonl"
        records = read_journal(file) if file.exists() else ()
        with Journal(file) as journal:
            data = data_of(num_train, num_val)
            return choose_eval_crops(space, data, journal, records)

    return make


def test_a_short_list_keeps_the_default(read, choose, tmp_path) -> None:
    assert choose(read(), 1000, 100) == 2
    (record,) = read_journal(tmp_path / "journal.jsonl")
    assert (record.eval_crops, record.wanted) == (2, 2)
    assert record.expected_share == pytest.approx(200 / 3200)


def test_a_long_list_keeps_its_crops(read, choose, tmp_path) -> None:
    assert choose(read(), 3000, 9000) == 2
    (record,) = read_journal(tmp_path / "journal.jsonl")
    assert record.expected_share == pytest.approx(18_000 / 27_000)


def test_the_share_is_of_the_whole_epoch() -> None:
    # 100 crops at 1, 30 at a third.
    assert expected_eval_share(100, 30, 1) == pytest.approx(10 / 110)
    assert expected_eval_share(100, 30, 3) == pytest.approx(30 / 130)


@pytest.mark.parametrize("value", [3, {"choices": [1, 3]}])
def test_a_space_that_names_it_decides(read, choose, tmp_path, value: object) -> None:
    space = read(training={"eval_crops": value})
    assert choose(space, 10, 1000) is None
    assert read_journal(tmp_path / "journal.jsonl") == ()
    assert teacher_eval_crops(space, None) in (1, 3)


def test_a_resumed_run_keeps_what_it_began_with(read, choose, tmp_path) -> None:
    """Some earlier versions lowered the number of crops."""
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(EvalCropsChosen(eval_crops=1, wanted=2, expected_share=0.1))
    assert choose(read(), 400, 200) == 1


def test_trials_and_teacher_have_the_number_that_was_chosen(
    make_settings: Callable[..., SearchConfig], read
) -> None:
    settings = make_settings()
    for space, crops in ((read(), 1), (read(training={"eval_crops": 7}), 7)):
        suggestion = Suggestions(space, kind="random", seed=0).suggest()
        assert config_maker(settings, 1)(suggestion).training.eval_crops == crops
    assert config_maker(settings)(Suggestions(read(), kind="random", seed=0).suggest()) == (
        config_maker(settings, 2)(Suggestions(read(), kind="random", seed=0).suggest())
    )
    assert teacher_eval_crops(read(), 1) == 1


def test_a_starting_point_with_another_number_is_not_remarked_on(read, tmp_path) -> None:
    write_yaml(tmp_path / "point.yaml", {"training": {"eval_crops": 5}})
    space = read(start_from=[str(tmp_path / "point.yaml")])
    (point,) = start_points(space, tmp_path / "own.yaml", ())
    assert not any("eval_crops" in remark for remark in point.remarks)
