"""A search whose workers, or the nodes that they run on, are killed or frozen."""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from results.journal import Record, read_journal
from tests.chaos.accounting import Losses, losses, snapshot
from tests.chaos.faults import Injection, Outcome
from tests.chaos.processes import family, kill_at_once
from tests.search.ray_nodes import Cluster
from tests.search.real_search import DEADLINE_S, Driver, RealSearch

Tell = Callable[[str], None]
USUAL_EPOCH_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """A trial that runs.

    Attributes:
        pid: Its worker's.
        num_epochs: Epochs that it has reported since it was placed there.
    """

    pid: int
    num_epochs: int


def at_work(records: Sequence[Record]) -> dict[int, AtWork]:
    """The trials that run, by number; those that have not reported from where they are left out."""
    running: dict[int, AtWork] = {}
    for record in records:
        match record["event"]:
            case "search_started" | "search_resumed":
                running.clear()
            case "placed":
                running[record["trial"]] = AtWork(pid=record["pid"], num_epochs=0)
            case "infrastructure" | "trial_ended":
                running.pop(record["trial"], None)
            case "epoch" if (known := running.get(record["trial"])) is not None:
                running[record["trial"]] = AtWork(pid=known.pid, num_epochs=known.num_epochs + 1)
    return running
