"""The goals of a search: the VEER, and costs of the student; all of them are to be low."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal

from spaces.files.errors import RunError

Goal = Literal["veer", "cpu_latency", "params", "macs"]
VEER: Goal = "veer"
ONE_GOAL: tuple[Goal, ...] = (VEER,)
MOST_GOALS = 3
GOAL_NAMES: Mapping[Goal, str] = MappingProxyType(
    {
        "veer": "VEER",
        "cpu_latency": "CPU time / teacher",
        "params": "parameters",
        "macs": "multiply-accumulates",
    }
)


def cost_goals(goals: Iterable[Goal]) -> tuple[Goal, ...]:
    """Return the goals that are costs, known before a student is trained."""
    return tuple(goal for goal in goals if goal != VEER)


def goals_of(settings: Mapping[str, Any]) -> tuple[Goal, ...]:
    """Return the goals of a search by its settings, as the journal has them.

    Runs that were recorded before the setting existed have the VEER alone.

    Raises:
        RunError: They are no goals.
    """
    values = settings.get("objective", ONE_GOAL)
    named = {str(goal): goal for goal in GOAL_NAMES}
    if not isinstance(values, list | tuple) or VEER not in values or {*values} - {*named}:
        raise RunError(
            f"the journal's objective must have veer and only {', '.join(named)}, got {values!r}; "
            "restore the run folder from a copy"
        )
    return tuple(named[value] for value in values)


def cost_values(costs: Mapping[str, float] | None) -> tuple[float, ...]:
    """Return the costs of a trial in the order of their names, the same for all trials."""
    return tuple(value for _, value in sorted((costs or {}).items()))
