"""The table of stores; a store has a few lines, so that 80 columns do."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from trainable.store.cache import StoreInfo, StoreState
from trainable.store_kinds import amount_of, kind_of


def stores_table(stores: Sequence[StoreInfo]) -> Table:
    """Stores with their kind, corpus, state, amounts and sizes."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, leading=1)
    table.add_column("store", no_wrap=True)
    table.add_column("holds", overflow="fold")
    table.add_column("on disk", justify="right", no_wrap=True)
    table.add_column("unused\ndays", justify="right", no_wrap=True)
    for store in stores:
        table.add_row(
            f"{store.folder.name}\n{store.state.value}",
            "\n".join(_holds(store)),
            f"{store.size_bytes:,} bytes\n{_shards(store)}",
            f"{store.unused_days:.1f}",
        )
    return table


def _holds(store: StoreInfo) -> list[str]:
    plan = store.plan
    if plan is None:
        return []
    amount = [f"{sum(plan.num_rows):,} utterances"]
    if store.num_vectors is not None:
        amount.append(amount_of(plan, store.num_vectors))
    return [kind_of(plan), *plan.lists, ", ".join(amount)]


def _shards(store: StoreInfo) -> str:
    if store.plan and store.state is StoreState.UNFINISHED:
        return f"{store.num_shards:,} of {len(store.plan.num_rows):,} shards"
    if store.plan is None:
        return ""
    return "1 shard" if store.num_shards == 1 else f"{store.num_shards:,} shards"
