"""The stores of a cache folder: which there are, in which state, and which are superseded."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from trainable.store.lock import REMOVED_SUFFIX, USE_LOCK
from trainable.store.plan import (
    FOLDER_KEY_DIGITS,
    MANIFEST,
    PLAN,
    SOURCE,
    StoreManifest,
    StorePlan,
    read_json,
)

_STORE_GLOBS = ("features-*/", "targets-*/")
# Left where the process that removed a store was killed after it had renamed the folder.
_REMOVED_GLOB = f".*{REMOVED_SUFFIX}/"
DAY_S = 86_400


class StoreState(StrEnum):
    """Whether a store can be used, and if not, why."""

    COMPLETE = "complete"
    UNFINISHED = "unfinished"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInfo:
    """One store, as its plan and its manifest describe it.

    Attributes:
        folder: Folder of the store.
        state: Superseded means complete but no longer needed: another complete store of the same
            kind, lists, audio folders and settings was used later, or the store that this one was
            made from is superseded or gone.
        plan: What the store is to hold; None if the plan is missing or damaged.
        num_vectors: Number of frames or crops; None if the store is not complete.
        size_bytes: Size of all its files.
        num_shards: Number of shards in the folder.
        last_used_s: When it was last opened, seconds since 1970.
    """

    folder: Path
    state: StoreState
    plan: StorePlan | None
    num_vectors: int | None
    size_bytes: int
    num_shards: int
    last_used_s: float

    @property
    def key(self) -> str | None:
        """Key of the store; None if its plan cannot be read."""
        return None if self.plan is None else self.plan.key

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the plan; empty if it cannot be read."""
        return {} if self.plan is None else self.plan.settings

    @property
    def unused_days(self) -> float:
        """Days since the store was last opened."""
        return (time.time() - self.last_used_s) / DAY_S


def list_stores(cache_dir: Path) -> tuple[StoreInfo, ...]:
    """List all stores of a cache, the last used first, without reading audio or vectors."""
    found = [
        _info(folder) for kind in (*_STORE_GLOBS, _REMOVED_GLOB) for folder in cache_dir.glob(kind)
    ]
    found.sort(key=lambda store: -store.last_used_s)
    # In this order: targets of a replaced store of log-mels are superseded with it.
    return _mark_sourceless(_mark_replaced(found))


def prunable(stores: Sequence[StoreInfo], older_than_days: float | None) -> tuple[StoreInfo, ...]:
    """Return the stores that `veer data prune` offers to remove.

    Args:
        stores: All stores of a cache.
        older_than_days: Include every store that was not opened for this long; None
            includes no store for its age.
    """
    always = (StoreState.UNFINISHED, StoreState.SUPERSEDED)
    return tuple(
        store
        for store in stores
        if store.state in always
        or (older_than_days is not None and store.unused_days >= older_than_days)
    )


def _mark_replaced(stores: Sequence[StoreInfo]) -> tuple[StoreInfo, ...]:
    """Mark every store as superseded that an earlier one in the sequence replaces."""
    seen: set[str] = set()
    judged = []
    for store in stores:
        if store.state is StoreState.COMPLETE and store.plan is not None:
            # The key and the rows of the shards follow from the audio, which may have changed:
            # all other fields together are what the store is for.
            purpose = store.plan.model_dump_json(exclude={"key", "num_rows"})
            superseded = replace(store, state=StoreState.SUPERSEDED)
            judged.append(superseded if purpose in seen else store)
            seen.add(purpose)
        else:
            judged.append(store)
    return tuple(judged)


def _mark_sourceless(stores: Sequence[StoreInfo]) -> tuple[StoreInfo, ...]:
    """Mark every complete store as superseded that was made from a superseded or missing one.

    The key of a store covers the key of the store it was made from, so no run will ask for it.
    """
    # An unfinished store counts too: a build may still complete it.
    alive = {
        store.folder.name.rpartition("-")[2]  # the first digits of the key, see `store_folder`
        for store in stores
        if store.state in (StoreState.COMPLETE, StoreState.UNFINISHED)
    }

    def has_lost_its_source(store: StoreInfo) -> bool:
        source = store.settings.get(SOURCE)
        if source is None or store.state is not StoreState.COMPLETE:
            return False
        return source[:FOLDER_KEY_DIGITS] not in alive

    return tuple(
        replace(store, state=StoreState.SUPERSEDED) if has_lost_its_source(store) else store
        for store in stores
    )


def _info(folder: Path) -> StoreInfo:
    manifest = read_json(folder / MANIFEST, StoreManifest)
    plan = manifest.plan if manifest else read_json(folder / PLAN, StorePlan)
    num_shards = sum(1 for _ in folder.glob("*.arrow"))
    # Removing a damaged shard (`remove_damaged`) leaves the manifest.
    is_whole = manifest is not None and num_shards == len(manifest.plan.num_rows)
    num_vectors = sum(record.num_vectors for record in manifest.shards) if manifest else 0
    return StoreInfo(
        folder=folder,
        state=StoreState.COMPLETE if is_whole else StoreState.UNFINISHED,
        plan=plan,
        num_vectors=num_vectors if is_whole else None,
        size_bytes=_size_bytes(folder),
        num_shards=num_shards,
        last_used_s=_changed_s(folder / USE_LOCK, folder),
    )


def _size_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def _changed_s(*candidates: Path) -> float:
    """Return when the first path that exists was changed, seconds since 1970."""
    return next(path.stat().st_mtime for path in candidates if path.exists())
