"""Options and arguments that are URIs of object storage: who takes them, and what they become."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from spaces.files.errors import ConfigError
from spaces.files.locations import uri_of

if TYPE_CHECKING:
    from collections.abc import Callable

# By command and parameter: those that get the working copy of a run, and whether with weights.
READERS: Mapping[tuple[str, str], bool] = MappingProxyType(
    {
        ("trials", "run"): False,
        ("show", "run"): False,
        ("report", "run"): False,
        ("audit", "run"): False,
        ("compare", "runs"): False,
        ("export", "run"): True,
    }
)
# Those that take the URI itself.
TAKERS = frozenset({("search", "run"), ("search", "teacher"), ("resume", "run")})
_BEGINNINGS = ("s3://", "gs://")


class PlacedCommand(TyperCommand):
    """A command whose URIs are either taken, or become working copies, or are refused."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command with paths of this machine.

        Raises:
            ConfigError: A parameter takes no URI.
            VeerError: The run cannot be fetched.
        """
        for name, value in ctx.params.items():
            if isinstance(value, list | tuple):
                ctx.params[name] = [self._placed(name, each) for each in value]
            else:
                ctx.params[name] = self._placed(name, value)
        return super().invoke(ctx)

    def _placed(self, name: str, value: Any) -> Any:
        is_text = isinstance(value, str) and value.startswith(_BEGINNINGS)
        if not (is_text or isinstance(value, Path)) or (uri := uri_of(value)) is None:
            return value
        key = (str(self.name), name)
        if key in TAKERS:
            return value
        if key not in READERS:
            shown = next((each.opts[0] for each in self.params if each.name == name), name)
            raise ConfigError(
                f"veer {self.name}: {shown} must be a path of this machine, got {uri}; URIs are "
                f"taken by {_in_words()}"
            )
        from search.remote.working_copy import copy_to_read

        return copy_to_read(value, with_weights=READERS[key])


class PlacedTyper(typer.Typer):
    """A group whose commands are `PlacedCommand`s."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Return a decorator that adds a command; see `typer.Typer.command`."""
        return super().command(name, **{"cls": PlacedCommand, **options})


def _in_words() -> str:
    takers = ("search --run", "search --teacher", "resume")
    readers = dict.fromkeys(command for command, _ in READERS)
    return ", ".join((*takers, *readers))
