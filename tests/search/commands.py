"""Veer's commands, run as a user would."""

import re

from typer.testing import CliRunner, Result

from search.cli import app as cli
from spaces.files.errors import VeerError


def veer(*arguments: object) -> Result:
    """Return the result of `veer` with these arguments; raise its `VeerError`, if any."""
    result = CliRunner().invoke(cli.app, [str(a) for a in arguments])
    if isinstance(result.exception, VeerError):
        raise result.exception
    return result


def done(*arguments: object) -> str:
    """Run a command that must succeed, and return its output as one line."""
    result = veer(*arguments)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def table_rows(output: str) -> list[list[str]]:
    """Return the cells of every line of every table below its headings; empty ones have none."""
    rows, is_inside = list[list[str]](), False
    for line in output.splitlines():
        if set(line.strip()) == {"─"}:
            is_inside = True
        elif line.strip() and not line.startswith(" "):
            is_inside = False
        elif is_inside and line.strip():
            rows.append(re.split(r" {2,}", line.strip()))
    return rows
