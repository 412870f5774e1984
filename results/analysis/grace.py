"""The changes of `grace_epochs: auto` in words."""

from results.analysis.run_view import RunView
from results.analysis.rungs import AUTO_GRACE
from results.records.search_records import GraceChanged


def change_in_words(change: GraceChanged) -> str:
    """Return what changed and why, such as `raised from 1 to 3, since the order ...`."""
    is_raised = change.grace_epochs > change.was_epochs
    return (
        f"{'raised' if is_raised else 'lowered'} from {change.was_epochs:g} to "
        f"{change.grace_epochs:g}, since the order of trials at rung {change.rung:g} "
        f"{'does not hold' if is_raised else 'holds'} until the next rung (Kendall's tau "
        f"{change.tau:.2f} over {change.num_trials} trials)"
    )


def is_auto(view: RunView) -> bool:
    """Return whether the search moves its first rung."""
    scheduler = view.settings.get("scheduler") or {}
    return scheduler.get("grace_epochs") == AUTO_GRACE and bool(view.rungs)


def grace_epochs_now(view: RunView) -> float:
    """Return the epochs before which no trial is stopped now, in a search that moves them."""
    change = view.latest(GraceChanged)
    return view.rungs[0] if change is None else change.grace_epochs


def grace_remarks(view: RunView) -> list[str]:
    """Return a line on the grace epochs of a search that moves them; none for another."""
    if not is_auto(view):
        return []
    parts = [f"began at {view.rungs[0]:g}", *map(change_in_words, view.all_of(GraceChanged))]
    return [f"grace_epochs auto: {'; '.join(parts)}"]
