"""How the benchmark `search` talks to another tool: lines of JSON on standard input and output.

A peer runs as a script in an environment of its own, without Veer's code. It answers one line for
each line that it gets:

{"new": {"kind", "space", "max_epochs", "seed", "first"}}  {}            a search begins
{"ask": null}                          {"trial", "params"}   the trial to train on; a trial that
                                                             was asked for before continues
{"tell": {"trial", "epoch", "figure_pct", "diverged"}}       {"go_on"}   the result of an epoch;
                                                             whether the next one is trained now

A space is a list of {"name", "type": float, int or choice, "low", "high", "log", "choices",
"when": {parameter: values}}. A tool that knows no conditions gives a value to every parameter.
"""

import json
import sys
from collections.abc import Callable
from typing import Any, Protocol

# What a tool without a state for diverged trials is given.
CHANCE_PCT = 50.0


class PeerSearch(Protocol):
    """One search of a tool."""

    def ask(self) -> tuple[int, dict[str, Any]]:
        """Return number and params of the trial to train on."""

    def tell(self, trial: int, epoch: int, figure_pct: float, *, diverged: bool) -> bool:
        """Take the result of an epoch; return whether the next one is trained now."""


def serve(make: Callable[[dict[str, Any]], PeerSearch]) -> None:
    """Answer until the input ends."""
    # Tools print to standard output too.
    answers, sys.stdout = sys.stdout, sys.stderr
    search: PeerSearch | None = None
    for line in sys.stdin:
        message = json.loads(line)
        answer: dict[str, Any] = {}
        if "new" in message:
            search = make(message["new"])
        elif search is None:
            raise ValueError("the first line must begin a search")
        elif "ask" in message:
            trial, params = search.ask()
            answer = {"trial": trial, "params": params}
        else:
            answer = {"go_on": search.tell(**message["tell"])}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
