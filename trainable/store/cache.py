"""The stores of a cache folder: what is there, is it whole, and what nobody needs any more."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from trainable.store.folder import FOLDER_KEY_DIGITS
from trainable.store.lock import REMOVED_SUFFIX, USE_LOCK
from trainable.store.plan import (
    MANIFEST,
    PLAN,
    SOURCE,
    StoreManifest,
    StorePlan,
    is_other_format,
    read_json,
)

_STORE_GLOBS = ("features-*/", "targets-*/")
OLD_STORES, REMOVED = "log-mels-*/", f".*{REMOVED_SUFFIX}/"
DAY_S = 86_400


class StoreState(StrEnum):
    """What a store is good for."""

    COMPLETE = "complete"
    UNFINISHED = "unfinished"
    SUPERSEDED = "superseded"
    OLD_FORMAT = "old format"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInfo:
    """One store, by what its small files say.

    Attributes:
        folder: Where it is.
        state: Superseded is a complete one of the same kind, lists, audio folders and settings
            as another complete one that was used later, or made from a store that is superseded or
            gone.
        plan: What it is to hold; None where that is missing, or the format another one.
        num_vectors: Frames or crops; None where not complete.
        size_bytes: Of all files.
        num_shards: That are there.
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
        """The store's, where its plan can be read."""
        return None if self.plan is None else self.plan.key

    @property
    def settings(self) -> dict[str, Any]:
        """The plan's, none where it cannot be read."""
        return {} if self.plan is None else self.plan.settings

    @property
    def unused_days(self) -> float:
        """Days since it was last opened."""
        return (time.time() - self.last_used_s) / DAY_S


def list_stores(cache_dir: Path) -> tuple[StoreInfo, ...]:
    """All stores of a cache, those used last first. No audio and no frames are read."""
    found = [_info(folder) for kind in (*_STORE_GLOBS, REMOVED) for folder in cache_dir.glob(kind)]
    found += [_old_info(folder) for folder in cache_dir.glob(OLD_STORES)]
    found.sort(key=lambda store: -store.last_used_s)
    return _without_source(_of_older_lists(found))


def prunable(stores: Sequence[StoreInfo], older_than_days: float | None) -> tuple[StoreInfo, ...]:
    """The stores that `prune` offers to remove.

    Args:
        stores: All of a cache.
        older_than_days: Also any store, of the old format too, that was not opened for so long;
            None leaves those.
    """
    always = (StoreState.UNFINISHED, StoreState.SUPERSEDED)
    return tuple(
        store
        for store in stores
        if store.state in always
        or (older_than_days is not None and store.unused_days >= older_than_days)
    )


def _of_older_lists(stores: Sequence[StoreInfo]) -> tuple[StoreInfo, ...]:
    """Supersede every store that a later one, earlier in the sequence, stands for."""
    seen: set[str] = set()
    judged = []
    for store in stores:
        if store.state is StoreState.COMPLETE and store.plan is not None:
            purpose = store.plan.model_dump_json(exclude={"key", "num_rows"})
            superseded = replace(store, state=StoreState.SUPERSEDED)
            judged.append(superseded if purpose in seen else store)
            seen.add(purpose)
        else:
            judged.append(store)
    return tuple(judged)


def _without_source(stores: Sequence[StoreInfo]) -> tuple[StoreInfo, ...]:
    """Supersede every complete store that was made from one that is superseded or gone.

    Its key holds that one's, so nothing will ask for it.
    """
    alive = {
        store.folder.name.rpartition("-")[2]
        for store in stores
        if store.state in (StoreState.COMPLETE, StoreState.UNFINISHED)
    }

    def is_left_over(store: StoreInfo) -> bool:
        source = store.settings.get(SOURCE)
        if source is None or store.state is not StoreState.COMPLETE:
            return False
        return source[:FOLDER_KEY_DIGITS] not in alive

    return tuple(
        replace(store, state=StoreState.SUPERSEDED) if is_left_over(store) else store
        for store in stores
    )


def _info(folder: Path) -> StoreInfo:
    if is_other_format(folder):
        return _old_info(folder)
    manifest = read_json(folder / MANIFEST, StoreManifest)
    plan = manifest.plan if manifest else read_json(folder / PLAN, StorePlan)
    num_shards = sum(1 for _ in folder.glob("*.arrow"))
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


def _old_info(folder: Path) -> StoreInfo:
    return StoreInfo(
        folder=folder,
        state=StoreState.OLD_FORMAT,
        plan=None,
        num_vectors=None,
        size_bytes=_size_bytes(folder),
        num_shards=0,
        last_used_s=_changed_s(folder / USE_LOCK, folder),
    )


def _size_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def _changed_s(*candidates: Path) -> float:
    """When the first of them that exists was changed."""
    return next(path.stat().st_mtime for path in candidates if path.exists())
