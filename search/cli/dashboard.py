"""`veer dashboard`: a run in optuna-dashboard."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from search.cli.console import console


def dashboard(
    run: Annotated[Path, typer.Argument(help="Run folder of a search.")],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free port.")
    ] = 8080,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Show a run in optuna-dashboard, also while its search runs. Ctrl-C ends it.

    The server listens on 127.0.0.1 only and is read-only: notes and deletions are refused. It
    shows the run's Optuna study, to which a search adds with each epoch.
    """
    from results.journal.run_folder import RunFolder
    from results.trackers.dashboard import DashboardServer

    with DashboardServer(RunFolder(run), port) as server:
        console.print(f"{run} is shown at {server.url}; Ctrl-C ends it", soft_wrap=True)
        if browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            console.print("stopped")
