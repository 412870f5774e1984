"""Groups of commands: `veer` itself, and those in it, such as `veer data`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup, TyperOption

from search.cli.places import PlacedTyper
from search.cli.unwritable import is_of_output, refusal
from spaces.files.errors import VeerError

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

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command; refuse in one line a target that the system does not let it write."""
        try:
            return super().invoke(ctx)
        except OSError as error:
            # Click ends a command quietly whose reader has gone.
            if isinstance(error, VeerError | BrokenPipeError) or is_of_output(error):
                raise
            raise VeerError(refusal(error, self._options_of(ctx))) from error

    def _options_of(self, ctx: typer.Context) -> list[str]:
        """Return the names of the options and arguments of the command that runs."""
        command = self.get_command(ctx, ctx.invoked_subcommand or "")
        return [] if command is None else [name for each in command.params for name in each.opts]


def command_group(text: str, **options: Any) -> typer.Typer:
    """Return a group without commands.

    Args:
        text: Its help.
        options: Further arguments of `typer.Typer`.
    """
    return PlacedTyper(
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
