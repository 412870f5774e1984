"""No two model configs give one model without a remark."""

from typing import Any

from results.analysis.model_hashes import model_counts, same_models
from results.analysis.remarks import run_remarks
from results.journal.history import trial_histories
from results.records.record import Record
from results.tables.trials import trials_table
from tests.worlds.journals import made_record
from tests.worlds.views import view_of

MIXER = {"family": "mlp_mixer", "hidden_dim": 64, "groups": 4}


def journal(*trials: tuple[dict[str, Any], str | None]) -> list[Record]:
    """Trials by model config and fingerprint; without a fingerprint none was placed."""
    records: list[Record] = []
    for number, (model, fingerprint) in enumerate(trials):
        own = {"time_s": 0.0, "trial": number}
        config = {"model": model, "loss": {"distillation": "none"}, "seed": number}
        started = {"params": {}, "config": config, "config_hash": "", "seed": number}
        records.append(made_record("trial_started", **own, **started))
        if fingerprint is not None:
            records.append(made_record("placed", **own, epoch=0, model_hash=fingerprint))
    return records


def test_configs_that_gave_one_model_are_named_with_what_differs():
    records = journal(
        (MIXER, "a"),
        (MIXER | {"hidden_dim": 32}, "b"),
        (MIXER | {"groups": 2, "bottleneck": {"ratio": 8}}, "a"),
    )
    sentence = (
        "trials 0 and 2 differ in model.groups (4 and 2), model.bottleneck.ratio (- and 8) and "
        "have the same model"
    )
    assert same_models(trial_histories(records)) == [sentence]
    assert f"warning: {sentence}" in run_remarks(view_of(records))


def test_trials_of_one_model_config_may_share_their_model():
    records = journal((MIXER, "a"), (MIXER, "a"), (MIXER | {"groups": 2}, "b"))
    assert same_models(trial_histories(records)) == []
    assert model_counts(trial_histories(records)) == "3 trials, 2 model configs, 2 models"
    assert "3 trials, 2 model configs, 2 models" in run_remarks(view_of(records))


def test_every_further_config_of_a_model_is_named_once():
    records = journal(*((MIXER | {"groups": number}, "a") for number in (4, 2, 1, 2)))
    assert [text.partition(" differ")[0] for text in same_models(trial_histories(records))] == [
        "trials 0 and 1", "trials 0 and 2",
    ]  # fmt: skip
    assert model_counts(trial_histories(records)) == "4 trials, 3 model configs, 1 model"


def test_trials_with_an_unknown_model_are_left_out():
    records = journal((MIXER, None), (MIXER | {"groups": 2}, "b"))
    assert [trial.model_hash for trial in trial_histories(records)] == [None, "b"]
    assert model_counts(trial_histories(records)) == "1 trial, 1 model config, 1 model"
    assert model_counts(trial_histories(journal((MIXER, None)))) is None
    assert trials_table(view_of(records)).column("model_hash").to_pylist() == [None, "b"]


def test_a_trial_that_was_moved_has_the_model_of_its_last_place():
    records = [*journal((MIXER, "a")), made_record("placed", trial=0, model_hash="b")]
    assert [trial.model_hash for trial in trial_histories(records)] == ["b"]
