"""The epochs and disk space that a search will need, reported at its start. Needs no Ray."""

from results.analysis.faults import counted
from search.config.search_config import SearchConfig
from search.config.sections import AUTO
from search.estimates.ceiling import describe_ceiling
from search.estimates.disk_estimate import DiskGuard
from search.estimates.forecast import Forecast, describe, forecast
from search.loop.auto_grace import STOPPING_RUNGS
from search.loop.setup import halving_rungs
from search.run.materials import Materials, SearchJob
from search.run.progress import SearchView


def print_forecast(settings: SearchConfig, view: SearchView) -> Forecast:
    """Print a forecast of the epochs of the search's own trials and of its follow-ups."""
    assert settings.num_trials is not None  # noqa: S101 - `resolve` has set it
    expected = forecast(
        settings.num_trials,
        settings.max_epochs,
        halving_rungs(settings),
        settings.scheduler.reduction_factor,
        seed=settings.seed,
    )
    scheduler = settings.scheduler
    lines = [*describe(expected), *describe_ceiling(scheduler, settings.max_epochs)]
    if settings.total_epochs is not None and settings.total_epochs < expected.epochs:
        lines.append(f"total_epochs: the search ends after {settings.total_epochs:,} of them")
    if scheduler.grace_epochs == AUTO and expected.rungs:
        lines.append("grace_epochs auto: both are for 1 epoch, where it begins")
        if len(expected.rungs) <= STOPPING_RUNGS:
            lines[-1] += "; it stays there, since the last two rungs always stop trials"
    if len(settings.objective) > 1:
        goals = ", ".join(settings.objective)
        lines.append(f"goals {goals}: sampler {settings.sampler}, trials compared in all of them")
    for line in (*lines, *describe_follow_ups(settings)):
        view.print_line(line)
    return expected


def describe_follow_ups(settings: SearchConfig) -> list[str]:
    """Return a line on the epochs of follow-ups; an empty list if there are none."""
    plan, parts = settings.follow_ups, list[str]()
    if plan.repeat:
        parts.append(f"the best {plan.finalists} with {counted(plan.repeat, 'other seed')} each")
    if plan.control:
        parts.append(f"{counted(plan.control, 'stopped trial')} to the end")
    if not parts:
        return []
    return [
        f"then, at most {plan.num_epochs(settings.max_epochs):,} epochs more: "
        f"{' and '.join(parts)}"
    ]


def disk_guard(job: SearchJob, materials: Materials, expected: Forecast) -> DiskGuard:
    """Return the check that the disk has room for the search."""
    return DiskGuard(
        folder=job.folder,
        settings=job.settings,
        space=job.space,
        teacher=materials.teacher,
        num_speakers=materials.num_speakers,
        num_pairs=len(materials.data.val_a),
        expected=expected,
        print_line=job.view.print_line,
    )
