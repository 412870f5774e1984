"""The `veer` command."""

import os
import sys
from typing import NoReturn

from rich.text import Text

from search.cli import cluster, data, results, space, teacher, train
from search.cli.audit import audit
from search.cli.calibrate import calibrate
from search.cli.compare import compare
from search.cli.console import errors
from search.cli.dashboard import dashboard
from search.cli.embed import embed
from search.cli.evaluate import evaluate
from search.cli.export import export
from search.cli.forms import convert_to_form
from search.cli.fuse import fuse
from search.cli.gap import gap
from search.cli.groups import command_group
from search.cli.import_model import import_checkpoint
from search.cli.presets import presets
from search.cli.reproduce import reproduce
from search.cli.resume import resume
from search.cli.score import score
from search.cli.search import search
from search.cli.simulate import simulate
from search.cli.submit import status, stop, submit
from search.cli.unwritable import output_refusal
from search.cli.verify import enroll, verify
from spaces.files.errors import VeerError

USER_ERROR_STATUS = 2
# The number of the stream.
STDOUT = 1

app = command_group(
    "Search hyperparameters for distilling a large speaker-verification teacher into a small, "
    "fast student.\n\n"
    "The usual order: data prepare and data check, teacher train, search; then trials, show, "
    "report, dashboard and benchmark to inspect the results, export and train to train the best "
    "student in full, evaluate to score it; verify, calibrate, embed and fuse to use it.",
    name="veer",
)
app.add_typer(data.app, name="data")
app.add_typer(teacher.app, name="teacher")
app.add_typer(space.app, name="space")
app.add_typer(cluster.app, name="cluster")
app.command()(simulate)
app.command()(search)
app.command()(resume)
# The words after `search` or `resume` belong to the command that is sent.
app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": False,
        "allow_interspersed_args": False,
    }
)(submit)
app.command()(status)
app.command()(stop)
app.command()(results.trials)
app.command()(results.show)
app.command()(compare)
app.command()(results.report)
app.command()(dashboard)
app.command()(results.benchmark)
app.command()(export)
app.command(name="convert")(convert_to_form)
app.command()(audit)
app.command()(gap)
app.command()(reproduce)
app.command()(presets)
app.command()(train.train)
app.command()(evaluate)
app.command()(score)
app.command()(calibrate)
app.command()(fuse)
app.command()(verify)
app.command()(enroll)
app.command()(embed)
app.command(name="import")(import_checkpoint)


def run_app() -> None:
    """Run the command; print an error that the user can fix without a stack trace."""
    try:
        try:
            app()
        finally:
            # Not as late as Python does it, which then prints a trace.
            sys.stdout.flush()
    except VeerError as error:
        _print_error(str(error))
    except BrokenPipeError:
        _drop_output()
        sys.exit(1)
    except OSError as error:
        _drop_output()
        _print_error(output_refusal(error))


def _print_error(text: str) -> NoReturn:
    errors.print(Text("error", "bold red"), end=" ")
    errors.print(text, highlight=False, soft_wrap=True)
    sys.exit(USER_ERROR_STATUS)


def _drop_output() -> None:
    """Let what is still to be printed go nowhere: it is refused again at every try."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
