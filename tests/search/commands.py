"""Veer's commands, run as a user would."""

from typer.testing import CliRunner, Result

from search.cli import app as cli
from spaces.files.errors import VeerError


def veer(*arguments: object) -> Result:
    """Return the result of `veer` with these arguments; raise its `VeerError`, if any."""
    result = CliRunner().invoke(cli.app, [str(a) for a in arguments])
    if isinstance(result.exception, VeerError):
        raise result.exception
    return result
