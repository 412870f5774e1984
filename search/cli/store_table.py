"""The table of stores. A store has several lines, so that the table fits into 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType

from search.cli.console import table_of

if TYPE_CHECKING:
    from trainable.store.cache import StoreInfo
    from trainable.store.plan import StorePlan

SHOWN_DIGITS = 12
SECONDS_PER_HOUR = 3_600


def stores_table(stores: Sequence[StoreInfo]) -> RenderableType:
    """Return a table of stores with their kind, corpus, state, amounts and sizes."""
    rows = [
        (
            f"{store.folder.name}\n{store.state.value}",
            "\n".join(_holds(store)),
            f"{store.size_bytes:,} bytes\n{_shards(store)}",
            f"{store.unused_days:.1f}",
        )
        for store in stores
    ]
    return table_of(("store", "holds", "on disk", "unused\ndays"), rows, texts=(0, 1))


def describe_kind(plan: StorePlan) -> str:
    """Describe the kind of a store, with what differs between two stores of one corpus.

    For log-mels this is the number of the augmented copy; for targets the first digits of the
    SHA-256 of the teacher's file, and the bank of crops.
    """
    from trainable.teachers.targets import TARGETS_STEM as TARGETS

    settings = plan.settings
    if plan.kind.stem == TARGETS:
        copy = f" of copy {settings['copy']}" if settings["copy"] else ""
        return (
            f"targets of teacher {settings['teacher_sha256'][:SHOWN_DIGITS]}{copy}, "
            f"{settings['num_crops']} crops of {settings['crop_frames']} frames, "
            f"seed {settings['crop_seed']}"
        )
    augmentation = settings.get("augmentation")
    return "log-mels" if augmentation is None else f"log-mels, copy {augmentation['copy']}"


def describe_amount(plan: StorePlan, num_vectors: int) -> str:
    """Format the amount of data in a store: hours of log-mels, or number of target crops."""
    from models.frontend import HOP_SAMPLES, SAMPLE_RATE_HZ
    from trainable.features.request import LOG_MELS

    if plan.kind.stem == LOG_MELS.stem:
        return f"{num_vectors * HOP_SAMPLES / SAMPLE_RATE_HZ / SECONDS_PER_HOUR:,.2f} hours"
    return f"{num_vectors:,} {plan.kind.vectors}"


def _holds(store: StoreInfo) -> list[str]:
    plan = store.plan
    if plan is None:
        return []
    amount = [f"{sum(plan.num_rows):,} utterances"]
    if store.num_vectors is not None:
        amount.append(describe_amount(plan, store.num_vectors))
    return [describe_kind(plan), *plan.lists, ", ".join(amount)]


def _shards(store: StoreInfo) -> str:
    from trainable.store.cache import StoreState

    if store.plan and store.state is StoreState.UNFINISHED:
        return f"{store.num_shards:,} of {len(store.plan.num_rows):,} shards"
    if store.plan is None:
        return ""
    return "1 shard" if store.num_shards == 1 else f"{store.num_shards:,} shards"
