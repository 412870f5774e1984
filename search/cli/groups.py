"""Groups of commands: `veer` itself, and those in it, such as `veer data`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup, TyperOption

if TYPE_CHECKING:
    from typer._click.core import Parameter


class LightGroup(TyperGroup):
    """A group whose commands print their help without an import of Pydantic.

    Typer 0.29 converts each of the group's own flags with Pydantic where it is None, that is not
    given. Importing Pydantic takes as long as all the rest of `veer search --help`.
    """

    def get_params(self, ctx: typer.Context) -> list[Parameter]:  # type: ignore[override]
        """Return the group's own options; a flag is False by default, not None."""
        params: list[Parameter] = super().get_params(ctx)
        for param in params:
            if isinstance(param, TyperOption) and param.is_flag and param.default is None:
                param.default = False
        return params


def command_group(text: str, **options: Any) -> typer.Typer:
    """Return a group without commands.

    Args:
        text: Its help.
        options: Further arguments of `typer.Typer`.
    """
    return typer.Typer(
        cls=LightGroup,
        help=text,
        no_args_is_help=True,
        # Help as plain text: Rich's needs twice the time of a whole `veer --help`.
        rich_markup_mode=None,
        # The widest help; without it Click keeps to 80 columns on any screen.
        context_settings={"max_content_width": 99},
        # Local variables may hold a token; a bug report shows the whole trace.
        pretty_exceptions_show_locals=False,
        **options,
    )
