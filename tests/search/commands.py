"""Veer's commands, run as a user would."""

from typer.testing import CliRunner, Result

from search.cli import app as cli
from spaces.files.errors import VeerError


def veer(*arguments: object) -> Result:
    """What `veer` with these arguments gives; its refusals are raised."""
    result = CliRunner().invoke(cli.app, [str(a) for a in arguments])
    if isinstance(result.exception, VeerError):
        raise result.exception
    return result
