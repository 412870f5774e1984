"""`veer submit`, `veer status` and `veer stop`: searches as jobs of a cluster."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from results.terminal.quoting import veer_command
from search.cli.console import console
from spaces.files.visible import visible

if TYPE_CHECKING:
    from search.jobs.server import JobServer

# As Ray's own commands for jobs read it.
SERVER_VARIABLE = "RAY_API_SERVER_ADDRESS"
COLUMNS = 160
LAST_LINES = 20

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="The cluster's job server, part of its dashboard.",
        show_default=f"${SERVER_VARIABLE} or http://127.0.0.1:8265",
    ),
]
FetchOption = Annotated[
    Path | None,
    typer.Option(help="At the end, bring tables, page and journal into this folder here."),
]


def submit(
    context: typer.Context,
    server: ServerOption = None,
    files: Annotated[
        Path | None,
        typer.Option(
            help="Folder that is sent along, with settings, spaces or own models; the command "
            "starts in a copy of it."
        ),
    ] = None,
    fetch: FetchOption = None,
    follow: Annotated[
        bool, typer.Option(help="Print the job's log until it ends; Ctrl-C does not end the job.")
    ] = True,
) -> None:
    """Send `veer search` or `veer resume` to a cluster, where it runs without this machine.

    For example: veer submit --fetch results search /shared/settings.yaml --run /shared/runs/first.
    Paths are those of the cluster, or of --files. The options of submit stand before `search`.
    """
    from search.jobs.command import job_command

    command = job_command(context.args)
    jobs = _server(server)
    job = jobs.submit(command, files=files, columns=COLUMNS)
    _print(f"job {job} runs {veer_command(*command.words)}")
    if follow:
        _follow(jobs, job, fetch)
    else:
        _print(f"to follow it: {_again('status', job, server, fetch, '--follow')}")


def status(
    job: Annotated[
        str | None,
        typer.Argument(metavar="[JOB]", help="Name of a job; without one, all are listed."),
    ] = None,
    server: ServerOption = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Print the log until the job ends.")
    ] = False,
    fetch: FetchOption = None,
) -> None:
    """Show the state of a search that was sent by `veer submit`, and the end of its log."""
    jobs = _server(server)
    if job is None:
        for name, state, run in jobs.searches():
            _print(f"{name}  {state.lower()}  {run}")
        return
    if follow:
        _follow(jobs, job, fetch)
        return
    _print(f"{job}: {jobs.state(job).lower()}, run {jobs.run_of(job)}")
    for line in jobs.log(job).splitlines()[-LAST_LINES:]:
        _print(line)
    if fetch is not None:
        _fetch(jobs, job, fetch)


def stop(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Name of a job.")],
    server: ServerOption = None,
) -> None:
    """End a search that was sent by `veer submit`; it can be resumed."""
    jobs = _server(server)
    if not jobs.stop(job):
        _print(f"{job} had ended before: {jobs.state(job).lower()}")
        return
    _print(f"{job} was asked to end")
    if (run := jobs.run_of(job)) is not None:
        _print(f"to continue it: {veer_command('submit', 'resume', run)}")


def _follow(jobs: JobServer, job: str, fetch: Path | None) -> None:
    try:
        state = jobs.follow(job, _write, _print)
    except KeyboardInterrupt:
        _print(f"the job goes on; to follow it: {veer_command('status', job, '--follow')}")
        _print(f"to end it: {veer_command('stop', job)}")
        raise typer.Exit from None
    _print(f"{job}: {state.lower()}")
    if fetch is not None:
        _fetch(jobs, job, fetch)
    if exit_status := jobs.exit_status(job):
        raise typer.Exit(exit_status)


def _fetch(jobs: JobServer, job: str, folder: Path) -> None:
    names = ", ".join(file.name for file in jobs.fetch(job, folder))
    _print(f"{folder}: {names}")


def _server(url: str | None) -> JobServer:
    from search.jobs.server import DEFAULT_SERVER, JobServer

    return JobServer(url or os.environ.get(SERVER_VARIABLE) or DEFAULT_SERVER)


def _again(
    command: str, job: str, server: str | None, fetch: Path | None, *more: str
) -> str:
    options: list[str | Path] = [] if server is None else ["--server", server]
    options += [] if fetch is None else ["--fetch", fetch]
    return veer_command(command, job, *more, *options)


def _print(line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True)


def _write(text: str) -> None:
    # Its lines were made for a file, but a file name in them may hold commands to a terminal.
    sys.stdout.write(visible(text, keep="\n\t"))
    sys.stdout.flush()
