"""User attributes of the Optuna study and its trials: what a run knows, as text and numbers.

The study has `run`, `corpus`, `teacher`, `teacher's VEER, %` and `teacher's parameters`.
A trial has `trial` (its number in the run) or `same as trial` (for a repetition), `config` (its
file in the run folder), `seed`, `config hash`, `parameters`, `best VEER, %`, `best epoch` and
`VEER interval, %`; at its end also `how it ended`, `why`, `last VEER, %` and `median VEER of the
last epochs, %`. An infeasible suggestion has `infeasible`, the limits that it breaks.

No attribute depends on how busy the machine is, so that two runs of one search give equal studies.
"""

from collections.abc import Mapping
from pathlib import Path

from results.journal.history import TrialHistory
from results.journal.run_folder import TRIALS_FOLDER
from results.records.search_records import SearchStarted, TeacherRecord
from results.records.trial_records import EpochEnded

UserAttributes = dict[str, str | int | float]
_CORPUS_LISTS = ("train_list", "val_list")
# One error in 100,000 trial pairs still shows.
_PERCENT_DECIMALS = 3


def search_attributes(record: SearchStarted) -> UserAttributes:
    """Return attributes of the study from the record `search_started`."""
    corpus = record.settings.get("corpus")
    paths = corpus if isinstance(corpus, Mapping) else {}
    lists = [str(paths[name]) for name in _CORPUS_LISTS if name in paths]
    return {"corpus": ", ".join(lists)} if lists else {}


def teacher_attributes(record: TeacherRecord) -> UserAttributes:
    """Return attributes of the study from the record `teacher`."""
    veer_pct, num_params = record.veer_pct, record.num_params
    attributes: UserAttributes = {"teacher": Path(record.path).as_posix()}
    if veer_pct is not None:
        attributes["teacher's VEER, %"] = round(veer_pct, _PERCENT_DECIMALS)
    if num_params is not None:
        attributes["teacher's parameters"] = num_params
    return attributes


def start_attributes(trial: TrialHistory) -> UserAttributes:
    """Return what is known about a trial when it starts, or when a suggestion repeats it."""
    started = trial.started
    attributes: UserAttributes = {
        "config": f"{TRIALS_FOLDER}/{trial.trial:04d}/config.yaml",
        "seed": started.seed,
        "config hash": started.config_hash,
    }
    if trial.epochs and trial.last is not None:
        attributes |= first_epoch_attributes(trial.last)
    return attributes | best_epoch_attributes(trial)


def first_epoch_attributes(record: EpochEnded) -> UserAttributes:
    """Return what the first epoch of a trial shows about its model."""
    num_params = record.num_params
    return {} if num_params is None else {"parameters": num_params}


def best_epoch_attributes(trial: TrialHistory) -> UserAttributes:
    """Return attributes of a trial from its epoch with the lowest VEER so far."""
    if trial.best is None or trial.best.veer_pct is None:
        return {}
    attributes: UserAttributes = {
        "best VEER, %": round(trial.best.veer_pct, _PERCENT_DECIMALS),
        "best epoch": trial.best.epoch,
    }
    low_pct, high_pct = trial.best.veer_low_pct, trial.best.veer_high_pct
    if low_pct is not None and high_pct is not None:
        attributes["VEER interval, %"] = f"{low_pct:.2f} to {high_pct:.2f}"
    return attributes


def end_attributes(trial: TrialHistory) -> UserAttributes:
    """Return what is known about a trial at its end."""
    attributes: UserAttributes = {"how it ended": trial.state.replace("_", " ")}
    if trial.ended is not None and trial.ended.reason:
        attributes["why"] = trial.ended.reason
    last, median_pct = trial.last, trial.median_veer_pct
    if last is not None and last.veer_pct is not None:
        attributes["last VEER, %"] = round(last.veer_pct, _PERCENT_DECIMALS)
    if median_pct is not None:
        attributes["median VEER of the last epochs, %"] = round(median_pct, _PERCENT_DECIMALS)
    return attributes
