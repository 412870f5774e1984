"""`veer cluster`: Ray on several machines."""

import ipaddress
from typing import Annotated

import typer

from search.cli.console import console, errors
from search.cluster import nodes as cluster
from search.cluster.tokens import TOKEN, Token, keep_from_others

app = typer.Typer(
    no_args_is_help=True,
    help="Start Ray on several machines, with a token that whoever joins must have.",
)

CpusOption = Annotated[
    int | None, typer.Option(min=0, help="CPUs of this machine for trials.", show_default="all")
]
GpusOption = Annotated[
    int | None, typer.Option(min=0, help="GPUs of this machine for trials.", show_default="all")
]
HostOption = Annotated[
    str | None,
    typer.Option(
        help="This machine's address for the others, where it has several.",
        show_default="the one that Ray finds",
    ),
]


@app.command()
def head(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the others join.")] = 6379,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    host: HostOption = None,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Start Ray's dashboard, for this machine only.")
    ] = False,
    dashboard_host: Annotated[
        str, typer.Option(help="Where the dashboard listens; beyond 127.0.0.1 others reach it.")
    ] = cluster.LOOPBACK,
    dashboard_port: Annotated[int, typer.Option(min=1, max=65535)] = 8265,
) -> None:
    """Start a cluster on this machine and say how others join it.

    Whoever joins needs the token; one is made if there is none. There is no dashboard unless it is
    asked for.
    """
    wanted = cluster.Dashboard(host=dashboard_host, port=dashboard_port) if dashboard else None
    if wanted is not None and not _is_loopback(wanted.host):
        _warn(
            f"the dashboard listens on {wanted.host}: whoever reaches it and has the token runs "
            "code on all machines; an SSH tunnel to 127.0.0.1 is safer"
        )
    node = cluster.NodeOptions(num_cpus=cpus, num_gpus=gpus, host=host)
    address = cluster.start_head(port, node, wanted)
    token = _kept(cluster.require_token())
    _say(f"a cluster runs at {address}; it lets in who has the token of {token.source}")
    if wanted is not None:
        _say(f"dashboard: http://{wanted.host}:{wanted.port}")
    _say("on every other machine:")
    _say_how_to_copy(token, address.rpartition(":")[0])
    _say(f"  veer cluster join {address}")
    _say(f"then, on one of them:\n  veer search ... --address {address}")
    _say("at the end, on each:\n  veer cluster stop")


@app.command()
def join(
    address: Annotated[
        str, typer.Argument(metavar="HOST:PORT", help="As `veer cluster head` prints it.")
    ],
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    host: HostOption = None,
) -> None:
    """Make this machine a node of a cluster; it needs the cluster's token."""
    node = cluster.NodeOptions(num_cpus=cpus, num_gpus=gpus, host=host)
    _kept(cluster.join_cluster(address, node))
    _say(f"this machine is a node of {address}; to leave: veer cluster stop")


@app.command()
def token(
    show: Annotated[
        bool, typer.Option("--show", help="Print the token itself, and nothing else.")
    ] = False,
) -> None:
    """Say where this machine's token is and how to bring it to another.

    The fingerprint tells whether two machines have the same token.
    """
    found = _kept(cluster.require_token())
    if show:
        typer.echo(found.value)
        return
    _say(f"token: {found.source}, fingerprint {found.fingerprint}")
    _say("on a machine that is to join:")
    _say_how_to_copy(found, "THIS_MACHINE")


@app.command()
def stop(
    address: Annotated[
        str | None, typer.Argument(metavar="[HOST:PORT]", help="Only the node of this cluster.")
    ] = None,
) -> None:
    """End the nodes that `veer cluster` started on this machine, and no other Ray."""
    num_ended = cluster.stop_nodes(address)
    _say(f"{num_ended} processes ended" if num_ended else "no node of a cluster runs here")


def _say_how_to_copy(token: Token, host: str) -> None:
    if token.file is None:
        _say(f"  export {TOKEN}=...   # as it is set here")
        return
    _say("  mkdir -p -m 700 ~/.ray")
    _say(f"  scp -p {host}:{token.file.absolute()} ~/.ray/auth_token")


def _kept(token: Token) -> Token:
    """Return the token, whose file is kept from other users."""
    if (remark := keep_from_others(token)) is not None:
        _warn(remark)
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _say(line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _warn(line: str) -> None:
    errors.print(f"warning: {line}", markup=False, highlight=False, soft_wrap=True)
