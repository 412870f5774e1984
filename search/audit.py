"""An audit of a run's early stopping, from its journal; knows no Ray."""

from collections.abc import Mapping, Sequence
from typing import Any

from results.audit import audit_controls, audit_cost, audit_rungs, audit_seeds
from results.audit_figures import Audit
from results.history import trial_histories
from results.journal import Record
from results.remarks import latest_settings
from results.rungs import rungs_of
from search.forecast import rung_epochs
from search.scheduler_config import SchedulerConfig
from search.stop_check import rung_stops, stop_faults
from trainable.errors import RunError

DEFAULT_FINALISTS = 3


def audit_search(records: Sequence[Record]) -> Audit:
    """Audits a search; of one that still runs, or was interrupted, what there is so far.

    Raises:
        RunError: The journal does not begin with the settings of a search.
    """
    settings = _settings(records)
    trials = trial_histories(records)
    at = {trial.trial: len(trial.epochs) for trial in trials}
    stopped_at = {number: at[number] for number in rung_stops(records)}
    scheduler = SchedulerConfig.model_validate(settings["scheduler"])
    max_epochs = int(settings["max_epochs"])
    epochs = rung_epochs(rungs_of(settings), max_epochs)
    most = int(settings.get("finalists") or DEFAULT_FINALISTS)
    return Audit(
        is_stopping=scheduler.kind != "none",
        grace_epochs=scheduler.grace_epochs,
        reduction_factor=scheduler.reduction_factor,
        max_epochs=max_epochs,
        rungs=audit_rungs(trials, epochs, stopped_at),
        controls=audit_controls(trials, stopped_at, most),
        seeds=audit_seeds(trials, most),
        cost=audit_cost(trials, max_epochs, stopped_at),
        stop_faults=stop_faults(records),
    )


def _settings(records: Sequence[Record]) -> Mapping[str, Any]:
    if not records or records[0]["event"] != "search_started":
        raise RunError(
            "the journal must begin with search_started, whose settings say the rungs; restore "
            "it from a copy"
        )
    settings = latest_settings(records)
    if missing := sorted({"scheduler", "max_epochs"} - settings.keys()):
        raise RunError(f"the journal's settings must have {', '.join(missing)} to be audited")
    return settings
