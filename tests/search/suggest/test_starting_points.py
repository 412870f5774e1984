"""Configs that a search begins with."""

from pathlib import Path

import pytest

from results.journal.journal import Journal
from results.records.search_records import SearchResumed
from results.records.trial_records import EpochEnded, TrialEnded, TrialStarted
from search.suggest.starting_points import starting_trees
from spaces.files.errors import VeerError
from spaces.files.yaml_file import write_yaml
from trainable.config.reading import read_trial_config
from trainable.config.trial_config import TrialConfig

SMALL = {"model": {"family": "mlp_mixer", "hidden_dim": 64}, "loss": {"distillation": "none"}}


def trial_config(number: int) -> TrialConfig:
    return TrialConfig.model_validate({"loss": {"alpha": number / 10}, "seed": number})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Trials 0 to 3: complete with 9 %, stopped early with 7 %, failed after 5 %, unfinished."""
    with Journal(tmp_path / "first" / "journal.jsonl") as journal:
        for number, (veer_pct, state) in enumerate(
            ((9.0, "complete"), (7.0, "stopped_early"), (5.0, "failed"), (6.0, None))
        ):
            config = trial_config(number + 1)
            journal.append(
                TrialStarted(
                    trial=number,
                    params={"loss.alpha": config.loss.alpha},
                    config=config.canonical(),
                    config_hash=config.config_hash(),
                    seed=config.seed,
                )
            )
            journal.append(EpochEnded(trial=number, epoch=1, veer_pct=veer_pct))
            if state is not None:
                journal.append(TrialEnded(trial=number, state=state, reason=None))
    return tmp_path / "first"


def test_a_preset_gives_its_whole_config() -> None:
    ((source, tree),) = starting_trees(["p4b_autoencoder"], Path())
    assert source == "p4b_autoencoder"
    assert tree == read_trial_config("p4b_autoencoder").model_dump(mode="json")
    assert tree["training"]["lr"] == 0.001


def test_a_file_is_a_trials_config_or_a_training_runs(tmp_path: Path) -> None:
    places = {"train_dir": "a", "train_list": "b", "val_dir": "c", "val_list": "d"}
    write_yaml(tmp_path / "trial.yaml", SMALL)
    write_yaml(tmp_path / "run.yaml", {"corpus": places, "trial": SMALL})
    found = starting_trees([str(tmp_path / "trial.yaml"), str(tmp_path / "run.yaml")], Path())
    whole = TrialConfig.model_validate(SMALL).model_dump(mode="json")
    assert [tree for _, tree in found] == [whole, whole]


def test_the_best_that_ended_stand_for_a_run(run: Path) -> None:
    ((source, tree),) = starting_trees([f"run:{run}"], Path())
    assert source == f"run:{run}, trial 1"
    assert TrialConfig.model_validate(tree) == trial_config(2)
    top = starting_trees([f"run:{run}#top2"], Path())
    assert [source for source, _ in top] == [
        f"run:{run}#top2, trial 1",
        f"run:{run}#top2, trial 0",
    ]
    assert [TrialConfig.model_validate(tree) for _, tree in top] == [
        trial_config(2),
        trial_config(1),
    ]


def test_fewer_trials_than_asked_for_is_a_remark(run: Path) -> None:
    labels = [source for source, _ in starting_trees([f"run:{run}#top5"], Path())]
    assert labels == [
        f"run:{run}#top5, trial 1",
        f"run:{run}#top5, trial 0 (no more than 2 have ended with a VEER)",
    ]


def test_any_trial_can_be_named(run: Path) -> None:
    ((source, tree),) = starting_trees([f"run:{run}#3"], Path())
    assert source == f"run:{run}#3, trial 3"
    assert tree["loss"]["alpha"] == 0.4


def test_sources_keep_their_order(run: Path) -> None:
    found = starting_trees(["v2_cosine", f"run:{run}#0", "v1_mse"], Path())
    assert [tree["loss"]["distillation"] for _, tree in found] == ["cosine", "cosine", "mse"]
    assert starting_trees([], Path()) == []


def test_a_trial_that_today_breaks_a_rule_is_named(tmp_path: Path) -> None:
    with Journal(tmp_path / "old" / "journal.jsonl") as journal:
        journal.append(
            TrialStarted(
                trial=0,
                params={},
                config={"loss": {"alpa": 0.5}},
                config_hash="",
                seed=0,
            )
        )
    with pytest.raises(VeerError, match=r"old#0, trial 0: loss.alpa: unknown key.*'alpha'"):
        starting_trees([f"run:{tmp_path / 'old'}#0"], Path())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("v1_mes", r"run:FOLDER, got 'v1_mes'; did you mean 'v1_mse'"),
        ("missing.yaml", r"got 'missing.yaml'"),
        ("run:", r"run:FOLDER#TRIAL, N from 1, got 'run:'"),
        ("run:{run}#best", r"first#best'"),
        ("run:{run}#top0", r"first#top0'"),
        ("run:{run}#top", r"first#top'"),
        ("run:{run}#", r"first#'"),
        ("run:{run}x", r"firstx does not exist; did you mean .*first\?"),
        ("run:{run}#9", r"first#9: the run has no trial 9; its trials are 0 to 3"),
    ],
)
def test_what_is_no_starting_point_is_refused(run: Path, source: str, message: str) -> None:
    with pytest.raises(VeerError, match=message):
        starting_trees([source.format(run=run)], Path())


def test_a_run_without_an_ended_trial_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path / "run" / "journal.jsonl") as journal:
        journal.append(SearchResumed())
    with pytest.raises(VeerError, match="run#top3: no trial of this run has ended with a VEER"):
        starting_trees([f"run:{tmp_path / 'run'}#top3"], Path())
