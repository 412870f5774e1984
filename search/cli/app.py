"""The `veer` command."""

import sys

from rich.text import Text

from search.cli import cluster, data, results, space, teacher, train
from search.cli.audit import audit
from search.cli.compare import compare
from search.cli.console import errors
from search.cli.dashboard import dashboard
from search.cli.evaluate import evaluate
from search.cli.groups import command_group
from search.cli.import_model import import_checkpoint
from search.cli.presets import presets
from search.cli.reproduce import reproduce
from search.cli.resume import resume
from search.cli.search import search
from search.cli.simulate import simulate
from spaces.files.errors import VeerError

USER_ERROR_STATUS = 2

app = command_group(
    "Search hyperparameters for distilling a large speaker-verification teacher into a small, "
    "fast student.\n\n"
    "The usual order: data prepare and data check, teacher train, search; then trials, show, "
    "report, dashboard and benchmark to inspect the results, export and train to train the best "
    "student in full, evaluate to score it.",
    name="veer",
)
app.add_typer(data.app, name="data")
app.add_typer(teacher.app, name="teacher")
app.add_typer(space.app, name="space")
app.add_typer(cluster.app, name="cluster")
app.command()(simulate)
app.command()(search)
app.command()(resume)
app.command()(results.trials)
app.command()(results.show)
app.command()(compare)
app.command()(results.report)
app.command()(dashboard)
app.command()(results.benchmark)
app.command()(results.export)
app.command()(audit)
app.command()(reproduce)
app.command()(presets)
app.command()(train.train)
app.command()(evaluate)
app.command(name="import")(import_checkpoint)


def run_app() -> None:
    """Run the command; print an error that the user can fix without a stack trace."""
    try:
        app()
    except VeerError as error:
        errors.print(Text("error", "bold red"), end=" ")
        errors.print(str(error), highlight=False, soft_wrap=True)
        sys.exit(USER_ERROR_STATUS)
