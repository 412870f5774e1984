"""The Optuna study of a run, rebuilt from its journal.

complete        COMPLETE, its value the best VEER, as in the trials table
stopped_early   PRUNED, with a VEER by epoch and no value: it can never be the best trial
diverged        PRUNED after the first epoch, with a VEER of 50 %, chance: Optuna ranks pruned
                trials by their last epoch first, so that its real epochs would speak for it
failed          FAIL; also a trial said to be complete that never had a VEER
unfinished      RUNNING
repeated        as the trial whose config it has
infeasible      PRUNED, with a constraint above 0 for each limit that it breaks: the excess over
                the limit, as a part of it

The study has a trial for each suggestion, in their order, as the search had. Its metric name says
the unit. User attributes of a trial name its number in the run (`trial`; of a repetition, the
trial that it repeats, `same_as`), `seed`, `config_hash` and the `reason` of its end; those of an
infeasible suggestion say which limits it breaks, in words (`infeasible`).
"""

import json
import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial, TrialState

from results.distributions import to_distribution
from results.history import TrialHistory, trial_histories
from results.journal import Record
from spaces.atomic import write_bytes_atomically
from spaces.dimensions import Dimension
from spaces.limits import Violation
from trainable.errors import RunError

STUDY_NAME = "veer"
OBJECTIVE = "validation EER in percent"
# VEER in percent by epoch of a diverged trial: chance, finite, and worse than any student.
DIVERGED: Mapping[int, float] = {1: 50.0}
STATES = {
    "complete": TrialState.COMPLETE,
    "stopped_early": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "diverged": TrialState.PRUNED,
    "running": TrialState.RUNNING,
}


def rebuild_study(
    records: Iterable[Record],
    dimensions: Sequence[Dimension],
    storage: BaseStorage | None = None,
) -> optuna.Study:
    """Rebuilds the study, its trials in the order of their suggestions.

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
    records = tuple(records)
    waiting = {trial.trial: trial for trial in trial_histories(records)}
    trials = dict(waiting)
    for record in records:
        match record["event"]:
            case "trial_started" if (trial := waiting.pop(record["trial"], None)) is not None:
                study.add_trial(frozen_trial(trial, distributions))
            case "repeated":
                trial = trials[record["same_as"]]
                study.add_trial(_frozen_repetition(record, trial, distributions))
            case "infeasible":
                study.add_trial(_frozen_infeasible(record, distributions))
    return study


def write_study(
    records: Iterable[Record], dimensions: Sequence[Dimension], path: Path
) -> None:
    """Writes the rebuilt study in Optuna's journal format, replacing the file in one step.

    Raises:
        DiskFullError: There is no room; the file that was there stands.
        RunError: As `rebuild_study`; the file that was there stands.
    """
    lines = _Lines()
    rebuild_study(records, dimensions, JournalStorage(lines))
    write_bytes_atomically(path, lines.as_file())


class _Lines(BaseJournalBackend):
    """Optuna's journal in memory: its file has an entry a line, and is written once."""

    def __init__(self) -> None:
        self._entries: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """The entries from this one on."""
        return self._entries[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Take entries, in the types that a file gives back."""
        self._entries += json.loads(json.dumps(logs))

    def as_file(self) -> bytes:
        """What `JournalFileBackend` would have written."""
        lines = (json.dumps(entry, separators=(",", ":")) for entry in self._entries)
        return "".join(f"{line}\n" for line in lines).encode()


def frozen_trial(
    trial: TrialHistory, distributions: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    """One trial as Optuna keeps it.

    Raises:
        RunError: A parameter is not in the distributions, or its value outside them.
    """
    frozen = _frozen(
        f"trial {trial.trial}",
        trial.params,
        distributions,
        user_attrs={"trial": trial.trial, **_attributes(trial)},
        **_outcome(trial),
    )
    frozen.datetime_start = datetime.fromtimestamp(trial.start_s)
    if frozen.state.is_finished() and trial.ended is not None:
        frozen.datetime_complete = datetime.fromtimestamp(trial.ended["time_s"])
    return frozen


def _frozen_repetition(
    record: Record, trial: TrialHistory, distributions: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    frozen = _frozen(
        f"the repetition of trial {trial.trial}",
        record["params"],
        distributions,
        user_attrs={"same_as": trial.trial, **_attributes(trial)},
        **_outcome(trial),
    )
    return _at_once(frozen, record)


def _frozen_infeasible(
    record: Record, distributions: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    violations = [Violation(**violation) for violation in record["violations"]]
    frozen = _frozen(
        "an infeasible suggestion",
        record["params"],
        distributions,
        state=TrialState.PRUNED,
        constraints={violation.limit: violation.excess for violation in violations},
        user_attrs={"infeasible": "; ".join(map(str, violations))},
    )
    return _at_once(frozen, record)


def _frozen(
    what: str,
    params: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
    **fields: Any,
) -> FrozenTrial:
    """Optuna's trial; `fields` are those of its `create_trial`."""
    unknown = params.keys() - distributions.keys()
    if unknown:
        raise RunError(f"{what} has {sorted(unknown)}, which the space lacks")
    known = {name: distributions[name] for name in params}
    try:
        return optuna.trial.create_trial(params=dict(params), distributions=known, **fields)
    except ValueError as error:
        raise RunError(f"{what} does not fit the space: {error}") from error


def _at_once(frozen: FrozenTrial, record: Record) -> FrozenTrial:
    """The trial, started and ended when the record was written."""
    frozen.datetime_start = datetime.fromtimestamp(record["time_s"])
    if frozen.state.is_finished():
        frozen.datetime_complete = frozen.datetime_start
    return frozen


def _outcome(trial: TrialHistory) -> dict[str, Any]:
    """State, value and VEERs by epoch, by the names of `create_trial`."""
    best, state = trial.best, STATES[trial.state]
    if state is TrialState.COMPLETE and best is None:
        state = TrialState.FAIL
    return {
        "state": state,
        "value": best["veer_pct"] if best and state is TrialState.COMPLETE else None,
        "intermediate_values": _veer_by_epoch(trial),
    }


def _veer_by_epoch(trial: TrialHistory) -> dict[int, float]:
    if trial.state == "diverged":
        return dict(DIVERGED)
    return {
        record["epoch"]: record["veer_pct"]
        for record in trial.in_order
        if record["veer_pct"] is not None
    }


def _attributes(trial: TrialHistory) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "seed": trial.started["seed"],
        "config_hash": trial.started["config_hash"],
    }
    if trial.ended is not None and trial.ended["reason"]:
        attributes["reason"] = trial.ended["reason"]
    return attributes
