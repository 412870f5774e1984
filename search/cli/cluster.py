"""`veer cluster`: Ray on several machines."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.console import console, errors, print_for_programs
from search.cli.groups import command_group

if TYPE_CHECKING:
    from search.cluster.tokens import Token

app = command_group("Start Ray on several machines. A machine needs the cluster's token to join.")

CpusOption = Annotated[
    int | None, typer.Option(min=0, help="CPUs of this machine for trials.", show_default="all")
]
GpusOption = Annotated[
    int | None, typer.Option(min=0, help="GPUs of this machine for trials.", show_default="all")
]
HostOption = Annotated[
    str | None,
    typer.Option(
        help="Address of this machine for the others, if it has several.",
        show_default="chosen by Ray",
    ),
]
BlockOption = Annotated[
    bool,
    typer.Option(
        "--block",
        help="Stay in the foreground, for Slurm, containers and systemd; at SIGTERM the machine "
        "leaves the cluster.",
    ),
]
LeaveOption = Annotated[
    float,
    typer.Option(
        min=0,
        help="With --block: seconds after SIGTERM in which trials end their epochs, to go on "
        "elsewhere.",
    ),
]


@app.command()
def head(
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port for the other machines.")
    ] = 6379,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    host: HostOption = None,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Start Ray's dashboard.")] = False,
    dashboard_host: Annotated[
        str | None,
        typer.Option(
            help="Address of the dashboard; only 127.0.0.1 is closed to others.",
            show_default="127.0.0.1",
        ),
    ] = None,
    dashboard_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the dashboard.")
    ] = 8265,
    block: BlockOption = False,
) -> None:
    """Start a cluster on this machine and print the commands to join it.

    Other machines need the token to join; it is created if missing. The dashboard starts only with
    --dashboard.
    """
    from search.cluster import nodes, staying

    listens_on = dashboard_host or nodes.LOOPBACK
    dashboard_options = (
        nodes.Dashboard(host=listens_on, port=dashboard_port) if dashboard else None
    )
    if dashboard_options is not None and not _is_loopback(dashboard_options.host):
        _warn(
            f"the dashboard listens on {dashboard_options.host}: everyone who reaches it and has "
            "the token can run code on all machines; an SSH tunnel to 127.0.0.1 is safer"
        )
    node = nodes.NodeOptions(num_cpus=cpus, num_gpus=gpus, host=host)
    address = nodes.start_head(port, node, dashboard_options)
    token = _made_private(nodes.require_token())
    _print(f"a cluster runs at {address}; to join, a machine needs the token of {token.source}")
    if dashboard_options is not None:
        _print(f"dashboard: http://{dashboard_options.host}:{dashboard_options.port}")
    _print("on every other machine:")
    _print_copy_commands(token, address.rpartition(":")[0])
    _print(f"  veer cluster join {address}")
    _print(f"then, on one of them:\n  veer search ... --address {address}")
    _print("at the end, on each:\n  veer cluster stop")
    if block:
        staying.stay(address, leave_within_s=0)  # without the head there is no cluster


@app.command()
def join(
    address: Annotated[
        str,
        typer.Argument(metavar="HOST:PORT", help="The address that `veer cluster head` prints."),
    ],
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    host: HostOption = None,
    block: BlockOption = False,
    leave_within_s: LeaveOption = 20.0,
) -> None:
    """Make this machine a node of a cluster; this needs the cluster's token."""
    from search.cluster import nodes, staying

    node = nodes.NodeOptions(num_cpus=cpus, num_gpus=gpus, host=host)
    _made_private(nodes.join_cluster(address, node))
    _print(f"this machine is a node of {address}; to leave: veer cluster stop")
    if block:
        staying.stay(address, leave_within_s)


@app.command()
def token(
    show: Annotated[
        bool, typer.Option("--show", help="Print the token itself, and nothing else.")
    ] = False,
) -> None:
    """Show where this machine's token is and how to copy it to another machine.

    Machines with the same fingerprint have the same token.
    """
    from search.cluster.nodes import require_token

    found = _made_private(require_token())
    if show:
        # Not by rich, which may wrap it: the output is meant for a pipe.
        print_for_programs(found.value)
        return
    _print(f"token: {found.source}, fingerprint {found.fingerprint}")
    _print("on a machine that will join:")
    _print_copy_commands(found, "THIS_MACHINE")


@app.command()
def stop(
    address: Annotated[
        str | None, typer.Argument(metavar="[HOST:PORT]", help="Only the node of this cluster.")
    ] = None,
) -> None:
    """Stop the nodes that `veer cluster` started on this machine, and no other Ray."""
    from search.cluster.nodes import stop_nodes

    num_ended = stop_nodes(address)
    _print(f"{num_ended} processes ended" if num_ended else "no node of a cluster runs here")


def _print_copy_commands(token: Token, host: str) -> None:
    from search.cluster.tokens import TOKEN

    if token.file is None:
        _print(f"  export {TOKEN}=...   # the value set here")
        return
    # Before the copy: `scp` creates no folder, and others must not read the token.
    _print("  mkdir -p -m 700 ~/.ray")
    _print(f"  scp -p {host}:{token.file.absolute()} ~/.ray/auth_token")


def _made_private(token: Token) -> Token:
    """Return the token, after its file is made private to this user."""
    from search.cluster.tokens import keep_from_others

    if (warning := keep_from_others(token)) is not None:
        _warn(warning)
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a host name, which is not looked up here
        return host == "localhost"


def _print(line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _warn(line: str) -> None:
    errors.print(f"warning: {line}", markup=False, highlight=False, soft_wrap=True)
