"""The experiment trackers of a search, by name."""

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from results.analysis.run_view import RunView
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.trackers.mlflow_server import URI, MLflowServer
from results.trackers.names import TrackerName
from results.trackers.sender import Sender, Tracker
from results.trackers.wandb_runs import WandbRuns
from spaces.files.errors import ConfigError


def require_trackers(names: Sequence[TrackerName]) -> None:
    """Refuse trackers that cannot be used from here, before a search begins.

    Raises:
        ConfigError: A package is not installed, or MLflow has no server.
    """
    for name in names:
        if find_spec(name) is None:
            raise ConfigError(
                f"trackers: {name} needs the package {name}: pip install 'veer[{name}]'"
            )
    if "mlflow" in names and not os.environ.get(URI):
        raise ConfigError(
            f"trackers: mlflow needs the address of its server in ${URI}, such as "
            "http://127.0.0.1:5000"
        )


class Trackers:
    """The trackers that follow one search.

    Args:
        names: Their names; none for a search without trackers.
        remedy: The command that sends later what was not sent.
        print_line: Prints one line to the user.
    """

    def __init__(
        self, names: Sequence[TrackerName], remedy: str, print_line: Callable[[str], None]
    ) -> None:
        made: dict[TrackerName, Callable[[], Tracker]] = {
            "mlflow": MLflowServer,
            "wandb": lambda: WandbRuns(print_line),
        }
        self._senders = [Sender(made[name](), name, remedy, print_line) for name in names]

    def follow(self, run: RunFolder, journal: Journal) -> None:
        """Send what the journal has, and each further record."""
        for sender in self._senders:
            sender.begin(run, run.read())
            journal.follow(sender.take)

    def finish(self, view: RunView) -> None:
        """Send what is missing, and the tables and the page of a search at its end."""
        run = view.folder
        files = (
            run.trials_table, run.epochs_table, run.front, run.report, run.settings, run.space
        )
        for sender in self._senders:
            sender.finish(run, view.records, files)
