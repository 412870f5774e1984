"""A store on disk: a folder of shards, a plan and a manifest.

    features-<key>/
        plan.json             what goes into which shard; written first
        features-00000.arrow  shards, each renamed to this name when it is complete
        manifest.json         what the shards hold; written last
        in-use.lock           shared lock of every process that has the store open
        build.lock            exclusive lock of the process that writes

A store is complete when it has a manifest. If it has none, the shards that exist are kept and the
others are built.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spaces.files.atomic import write_text_atomically
from spaces.files.disk import is_disk_full, translate_disk_full
from spaces.files.errors import CorpusError, DiskFullError, StoreError
from spaces.files.locks import FileLock
from trainable.store.lock import remove_store, sole_builder, use_store
from trainable.store.plan import (
    FOLDER_KEY_DIGITS,
    MANIFEST,
    PLAN,
    StoreManifest,
    StorePlan,
    StoreRequest,
    ensure_plan,
    plan_fits,
    read_json,
)
from trainable.store.shard_writing import PARTIAL_SUFFIX
from trainable.store.shards import (
    Shard,
    ShardDamage,
    ShardLocation,
    open_recorded_shard,
    open_shard,
)
from trainable.store.shared import fetch_store, share_store, unshare_store
from trainable.store.tasks import Builder, ProgressCallback, ShardTask, offset_progress

_FREE_SPACE_HINT = "`veer data prune` frees room, or name another folder in $VEER_CACHE"

_log = logging.getLogger(__name__)
_Mapped = tuple[StorePlan, tuple[Shard, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStore:
    """A complete store, mapped into memory.

    Attributes:
        folder: Folder of the store.
        plan: What the store holds.
        shards: All shards, in the order of their numbers.
        use: Lock that keeps the store from being removed while this object exists.
    """

    folder: Path
    plan: StorePlan
    shards: tuple[Shard, ...]
    use: FileLock


def store_folder(cache_dir: Path, stem: str, key: str) -> Path:
    """Return the folder of the store with this key; `stem` names the kind of vectors."""
    return cache_dir / f"{stem}-{key[:FOLDER_KEY_DIGITS]}"


def open_store(
    request: StoreRequest, build: Builder, progress: ProgressCallback | None
) -> OpenStore:
    """Map all shards of a store, and build those that are missing or damaged.

    Args:
        request: The store to open.
        build: Function that builds shards.
        progress: Called with (utterances done, utterances in all) while this or another process
            builds.

    Raises:
        CorpusError: Utterances cannot be used; names each. Shards without faults stay.
        DiskFullError: The disk is full. Shards that were written stay.
        StoreError: The folder cannot be written.
    """
    folder = request.folder
    try:
        with translate_disk_full(folder):
            use = use_store(folder)
        try:
            plan, shards = _opened(request, build, progress)
            return OpenStore(folder=folder, plan=plan, shards=shards, use=use)
        except BaseException:
            # Removal needs this lock exclusively, so it is released first.
            use.release()
            # A folder without shards holds no work that a later run could go on from.
            if not has_shards(folder):
                remove_store(folder)
            raise
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(f"{error}; {_FREE_SPACE_HINT}") from error
        raise StoreError(
            f"{folder}: the {request.kind.vectors} cannot be kept there: "
            f"{error.strerror or error}; name another folder in $VEER_CACHE"
        ) from error


def open_stores(
    requests: Sequence[StoreRequest], build: Builder, progress: ProgressCallback | None
) -> tuple[OpenStore, ...]:
    """Map several stores, building them one after the other; progress counts all as one.

    If a store has faults, later stores of the same audio are skipped, and all others are built.

    Raises:
        CorpusError: Utterances cannot be used; names those of all stores, each once.
        DiskFullError: As `open_store`.
        StoreError: As `open_store`.
    """
    num_all, done = sum(request.num_rows for request in requests), 0
    stores: list[OpenStore] = []
    faulty_keys: set[str] = set()
    faults: list[str] = []
    for request in requests:
        if request.same_audio_as not in faulty_keys:
            try:
                stores.append(open_store(request, build, offset_progress(progress, done, num_all)))
            except CorpusError as error:
                faulty_keys.add(request.key)
                faults += error.faults
        done += request.num_rows
    if faults:
        raise CorpusError(tuple(dict.fromkeys(faults)))
    return tuple(stores)


def complete_plan(folder: Path, key: str) -> StorePlan | None:
    """Return the plan of the store with this key, or None if it is not complete."""
    manifest = read_json(folder / MANIFEST, StoreManifest)
    return manifest.plan if manifest is not None and manifest.plan.key == key else None


def open_complete(folder: Path) -> OpenStore:
    """Map a store that should be complete, without building anything.

    Raises:
        StoreError: The store is not complete, or a shard is damaged.
    """
    use = use_store(folder)
    manifest = read_json(folder / MANIFEST, StoreManifest)
    if manifest is None:
        with sole_builder(folder, lambda: None):
            # Another process may have fetched it while this one waited.
            if (folder / MANIFEST).exists() or fetch_store(folder):
                manifest = read_json(folder / MANIFEST, StoreManifest)
    if manifest is None:
        raise StoreError(f"{folder}: is not complete; `veer data build` completes it")
    found, damages = _intact_shards(manifest, folder)
    if damages:
        raise StoreError(f"{'; '.join(map(str, damages))}; `veer data build` builds it again")
    return OpenStore(folder=folder, plan=manifest.plan, shards=tuple(found.values()), use=use)


def has_shards(folder: Path) -> bool:
    """Return whether a store has a shard, so that a later build has less to do."""
    return any(folder.glob("*.arrow"))


def _opened(request: StoreRequest, build: Builder, progress: ProgressCallback | None) -> _Mapped:
    if (complete := _complete(request)) is not None:
        share_store(request.folder)
        return complete

    def report_other_builder() -> None:
        if progress:
            progress(_num_rows_on_disk(request), request.num_rows)

    with sole_builder(request.folder, report_other_builder):
        return _built(request, build, progress)


def _intact_shards(
    manifest: StoreManifest | None, folder: Path
) -> tuple[dict[int, Shard], list[ShardDamage]]:
    """Return the shards that match the manifest, by number, and the damage of the others."""
    found: dict[int, Shard] = {}
    damages: list[ShardDamage] = []
    for number, record in enumerate(manifest.shards if manifest else ()):
        try:
            found[number] = open_recorded_shard(shard_location(folder, manifest, number), record)
        except ShardDamage as damage:
            damages.append(damage)
    return found, damages


def shard_location(folder: Path, manifest: StoreManifest | None, number: int) -> ShardLocation:
    """Return the location of a shard that the manifest lists."""
    assert manifest is not None  # noqa: S101 - without one there is no shard to ask for
    plan = manifest.plan
    return ShardLocation(folder=folder, kind=plan.kind, key=plan.key, number=number)


def _manifest(request: StoreRequest) -> StoreManifest | None:
    """Return the manifest if it belongs to this store, else None."""
    manifest = read_json(request.folder / MANIFEST, StoreManifest)
    if manifest is None or not plan_fits(manifest.plan, request):
        return None
    return manifest if len(manifest.shards) == len(manifest.plan.num_rows) else None


def _complete(request: StoreRequest) -> _Mapped | None:
    manifest = _manifest(request)
    found, damages = _intact_shards(manifest, request.folder)
    return None if manifest is None or damages else (manifest.plan, tuple(found.values()))


def _built(request: StoreRequest, build: Builder, progress: ProgressCallback | None) -> _Mapped:
    folder = request.folder
    # Another process may have built the store while this one waited for the lock.
    complete = _complete(request)
    if complete is None and not (folder / MANIFEST).exists() and fetch_store(folder):
        complete = _complete(request)
    if complete is not None:
        return complete
    unshare_store(folder)
    # Left by builds that were killed; no other process writes here, since this one has the lock.
    for leftover in folder.glob(f".*{PARTIAL_SUFFIX}"):
        leftover.unlink()
    manifest = _manifest(request)
    found, damages = _intact_shards(manifest, folder)
    for damage in damages:
        _log.warning("%s; this shard is rebuilt", damage)
    plan = manifest.plan if manifest else ensure_plan(request)
    # With a manifest, a shard that is not intact differs from its record, so it must be built
    # again even where it can be opened.
    tasks = [
        task
        for task in _tasks(request, plan)
        if task.location.number not in found and (manifest is not None or not _is_finished(task))
    ]
    if faults := build(tasks, request.num_rows, progress):
        raise CorpusError(faults)
    built = [open_shard(request.location(number)) for number in range(len(plan.num_rows))]
    # Records come from the files themselves, also of shards that another process has built.
    manifest = StoreManifest(plan=plan, shards=tuple(shard.record for shard in built))
    write_text_atomically(folder / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
    share_store(folder)
    return plan, tuple(built)


def _tasks(request: StoreRequest, plan: StorePlan) -> Iterator[ShardTask]:
    first = 0
    for number, num_rows in enumerate(plan.num_rows):
        yield request.task(request.location(number), first, num_rows)
        first += num_rows


def _is_finished(task: ShardTask) -> bool:
    """Return whether an interrupted build has finished this shard."""
    if not task.location.path.exists():
        return False
    try:
        return open_shard(task.location).record.num_rows == task.num_rows
    except ShardDamage as damage:
        _log.warning("%s; this shard is rebuilt", damage)
        return False


def _num_rows_on_disk(request: StoreRequest) -> int:
    plan = read_json(request.folder / PLAN, StorePlan)
    rows = plan.num_rows if plan else ()
    return sum(n for number, n in enumerate(rows) if request.location(number).path.exists())
