"""The Optuna study of a run, rebuilt from its journal.

complete        COMPLETE, its value the best VEER, as in the trials table
stopped_early   PRUNED, with a VEER by epoch and no value: it can never be the best trial
failed, diverged  FAIL; also a trial said to be complete that never had a VEER
unfinished      RUNNING

The study's user attributes name the direction and unit; each trial's name its number in the run
(`trial`), `seed`, `config_hash` and the reason of its end.
"""

import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from results.distributions import to_distribution
from results.history import TrialHistory, trial_histories
from results.journal import Record
from spaces.dimensions import Dimension
from trainable.errors import RunError

STUDY_NAME = "veer"
OBJECTIVE = "validation EER in percent"
STATES = {
    "complete": TrialState.COMPLETE,
    "stopped_early": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "diverged": TrialState.FAIL,
    "running": TrialState.RUNNING,
}


def rebuild_study(
    records: Iterable[Record],
    dimensions: Sequence[Dimension],
    storage: BaseStorage | None = None,
) -> optuna.Study:
    """Rebuilds the study, its trials in the order of their numbers.

    Args:
        records: A journal's.
        dimensions: The space's.
        storage: Where the study is put, under `STUDY_NAME`, which must be new there; in memory
            unless given.

    Raises:
        RunError: A trial has a parameter that the space lacks, or a value outside its range.
    """
    logging.getLogger("optuna").setLevel(logging.WARNING)
    study = optuna.create_study(storage=storage, study_name=STUDY_NAME, direction="minimize")
    with warnings.catch_warnings():
        # Names the values in optuna-dashboard; experimental since 3.2.
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names([OBJECTIVE])
    distributions = {each.name: to_distribution(each) for each in dimensions}
    for trial in trial_histories(records):
        study.add_trial(frozen_trial(trial, distributions))
    return study


def write_study(
    records: Iterable[Record], dimensions: Sequence[Dimension], path: Path
) -> None:
    """Writes the rebuilt study in Optuna's journal format, replacing the file in one step.

    Raises:
        RunError: As `rebuild_study`; the file that was there stands.
    """
    # In the same folder, since a rename is atomic only within one file system.
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        partial = Path(folder) / path.name
        storage = JournalStorage(JournalFileBackend(str(partial)))
        rebuild_study(records, dimensions, storage)
        partial.replace(path)


def frozen_trial(
    trial: TrialHistory, distributions: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    """One trial as Optuna keeps it.

    Raises:
        RunError: A parameter is not in the distributions, or its value outside them.
    """
    best = trial.best
    state = STATES[trial.state]
    if state is TrialState.COMPLETE and best is None:
        state = TrialState.FAIL
    unknown = trial.params.keys() - distributions.keys()
    if unknown:
        raise RunError(f"trial {trial.trial} has {sorted(unknown)}, which the space lacks")
    try:
        frozen = optuna.trial.create_trial(
            state=state,
            value=best["veer_pct"] if best and state is TrialState.COMPLETE else None,
            params=trial.params,
            distributions={name: distributions[name] for name in trial.params},
            user_attrs=_attributes(trial),
            intermediate_values=_veer_by_epoch(trial),
        )
    except ValueError as error:
        raise RunError(f"trial {trial.trial} does not fit the space: {error}") from error
    frozen.datetime_start = datetime.fromtimestamp(trial.start_s)
    if state.is_finished() and trial.ended is not None:
        frozen.datetime_complete = datetime.fromtimestamp(trial.ended["time_s"])
    return frozen


def _veer_by_epoch(trial: TrialHistory) -> dict[int, float]:
    return {
        record["epoch"]: record["veer_pct"]
        for record in trial.in_order
        if record["veer_pct"] is not None
    }


def _attributes(trial: TrialHistory) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "trial": trial.trial,
        "seed": trial.started["seed"],
        "config_hash": trial.started["config_hash"],
    }
    if trial.ended is not None and trial.ended["reason"]:
        attributes["reason"] = trial.ended["reason"]
    return attributes
