"""The fixtures of `tests.worlds.predicted_students`."""

from tests.worlds.predicted_students import model, space, view

__all__ = ["model", "space", "view"]
