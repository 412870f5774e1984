"""Processes that a local Ray starts by default and that a search does not use.

The autoscaler's monitor, the log monitor and the dashboard's server start with every Ray, each a
Python process that takes half a second of a core. `ray.init` waits for the dashboard's server,
even with `include_dashboard=False`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private.node import Node

# `ray.init` has no argument for any of them.
STARTERS = ("start_monitor", "start_log_monitor", "start_api_server")


@contextmanager
def without_helpers() -> Iterator[None]:
    """Let a Ray that is started inside the block start none of these processes."""
    before = {name: getattr(Node, name) for name in STARTERS}
    for name in STARTERS:
        setattr(Node, name, _start_nothing)
    try:
        yield
    finally:
        for name, starter in before.items():
            setattr(Node, name, starter)


def _start_nothing(_: Node, **__: Any) -> None:
    """Take the place of a method of `Node` that starts a process."""
