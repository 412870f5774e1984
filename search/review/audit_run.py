"""The audit of a run's early stopping, from its journal. Independent of Ray."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from results.analysis.run_view import RunView
from results.analysis.rungs import rungs_of
from results.audit.audit import audit_controls, audit_cost, audit_rungs
from results.audit.findings import Audit
from results.audit.seeds import audit_seeds
from results.records.record import Record
from results.records.search_records import SearchStarted
from search.config.sections import SchedulerConfig
from search.estimates.forecast import rung_epochs
from search.loop.stop_check import rung_stops, stop_faults
from spaces.files.errors import RunError


def audit_search(view: RunView) -> Audit:
    """Audit a search; an unfinished one by its journal so far.

    Raises:
        RunError: The journal does not start with the settings of a search.
    """
    settings, scheduler, max_epochs = _stopping_settings(view.records)
    trials = view.histories
    at = {trial.trial: len(trial.epochs) for trial in trials}
    # By the replayed rungs, not by the state: a trial may also be stopped since the target was
    # met.
    stopped_at = {number: at[number] for number in rung_stops(view.records)}
    epochs = rung_epochs(rungs_of(settings), max_epochs)
    # A resume may change `finalists`, but neither the scheduler nor `max_epochs`.
    most = view.settings.get("finalists", settings["finalists"])
    return Audit(
        is_stopping=scheduler.kind != "none",
        decide_by=view.decide_by,
        grace_epochs=scheduler.grace_epochs,
        reduction_factor=scheduler.reduction_factor,
        max_epochs=max_epochs,
        rungs=audit_rungs(trials, epochs, stopped_at),
        controls=audit_controls(trials, stopped_at, most),
        seeds=audit_seeds(trials, most),
        cost=audit_cost(trials, max_epochs, stopped_at),
        stop_faults=stop_faults(view.records),
    )


def _stopping_settings(
    records: Sequence[Record],
) -> tuple[Mapping[str, Any], SchedulerConfig, int]:
    """Return the settings at the start of the search, and of them scheduler and max_epochs.

    A resumed search keeps both.
    """
    if not records or not isinstance(records[0], SearchStarted):
        raise RunError(
            "the journal must start with search_started, whose settings define the rungs; "
            "restore it from a copy"
        )
    settings = records[0].settings
    if missing := sorted({"scheduler", "max_epochs", "finalists"} - settings.keys()):
        raise RunError(f"the journal's settings must have {', '.join(missing)} to be audited")
    try:
        scheduler = SchedulerConfig.model_validate(settings["scheduler"])
    except ValidationError as error:
        [first, *_] = error.errors()
        where = ".".join(["scheduler", *map(str, first["loc"])])
        raise RunError(
            f"the journal's settings do not define the rungs: {where}: {first['msg']}"
        ) from error
    max_epochs = settings["max_epochs"]
    # A journal may be damaged or edited; it is read here without the checks of a config.
    if not isinstance(max_epochs, int) or max_epochs < 1:
        raise RunError(
            f"the journal's max_epochs must be an integer of at least 1, got {max_epochs!r}"
        )
    return settings, scheduler, max_epochs
