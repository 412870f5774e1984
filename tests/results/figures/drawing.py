"""Records of small searches, and access to the charts made from them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from results.records.record import Record
from tests.worlds.journals import made_record

STARTED: Record = made_record("search_started", settings={}, provenance={})


def trial_records(
    trial: int,
    veers: Sequence[float | None],
    state: str | None = "complete",
    params: Mapping[str, Any] | None = None,
    **started: Any,
) -> list[Record]:
    """Return records of the start, epochs and end of a trial; unfinished if `state` is None."""
    own = {"trial": trial}
    sampled = dict(params or {"training.lr": 0.1 + trial})
    records: list[Record] = [
        made_record(
            "trial_started", **own, params=sampled,
            config={}, config_hash=f"{trial}", seed=trial, **started,
        )
    ]  # fmt: skip
    records += [
        made_record("epoch", **own, epoch=epoch, veer_pct=veer_pct)
        for epoch, veer_pct in enumerate(veers, start=1)
    ]
    if state is not None:
        records.append(made_record("trial_ended", **own, state=state, reason=None))
    return records


def named(figure: go.Figure | None, name: str) -> Any:
    """Return the first trace whose name starts so."""
    assert figure is not None
    return next(trace for trace in figure.data if (trace.name or "").startswith(name))


def all_values(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of a chart in plain form, with the dotted path to it."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from all_values(value, f"{path}.{key}")
    elif isinstance(node, list | tuple):
        for value in node:
            yield from all_values(value, path)
    else:
        yield path, node
