"""A store of log-mels: a folder of shards, a plan and a manifest.

    features-<key>/
        plan.json             what goes into which shard; written first
        features-00000.arrow  shards, each renamed to its name when complete
        manifest.json         what the shards hold; written last
        in-use.lock           held shared by every process that has the store open
        build.lock            held by the one process that writes

A store is complete when it has a manifest. Without one, shards that are there are kept and the
rest is built.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from spaces.atomic import write_text_atomically
from trainable.errors import CorpusError
from trainable.feature_builder import Progress, ShardTask, build_shards
from trainable.feature_shards import (
    PARTIAL_SUFFIX,
    Shard,
    ShardDamage,
    open_recorded_shard,
    open_shard,
    shard_name,
)
from trainable.store_key import StoreKey
from trainable.store_lock import sole_builder
from trainable.store_plan import (
    MANIFEST,
    PLAN,
    StoreManifest,
    StorePlan,
    StoreRequest,
    fits,
    planned,
    read_json,
)

DEFAULT_SHARD_BYTES = 512 * 2**20

_log = logging.getLogger(__name__)


def store_folder(cache_dir: Path, key: StoreKey) -> Path:
    """Where a store with this key is."""
    return cache_dir / f"features-{key.digest[:16]}"


def open_store(request: StoreRequest, progress: Progress | None) -> tuple[Shard, ...]:
    """Map all shards of a store, building what is missing or damaged.

    The folder must be held with `use_store`.

    Args:
        request: The store.
        progress: Told (utterances done, utterances in all) while building, and while another
            process builds.

    Raises:
        CorpusError: With every file that cannot be used; the shards without faults stay.
    """
    if (complete := _complete(request)) is not None:
        return complete
    total = len(request.entries)

    def waiting() -> None:
        if progress:
            progress(_num_rows_there(request.folder), total)

    with sole_builder(request.folder, waiting):
        return _build(request, progress)


def has_shards(folder: Path) -> bool:
    """Whether a store has a shard, so that there is something to go on from."""
    return any(folder.glob("features-*.arrow"))


def _intact_shards(
    manifest: StoreManifest | None, request: StoreRequest
) -> tuple[dict[int, Shard], list[ShardDamage]]:
    """The shards that are what the manifest says, by number, and what is wrong with the others."""
    found: dict[int, Shard] = {}
    damages: list[ShardDamage] = []
    for number, record in enumerate(manifest.shards if manifest else ()):
        try:
            found[number] = open_recorded_shard(
                request.folder, record, request.key.digest, number
            )
        except ShardDamage as damage:
            damages.append(damage)
    return found, damages


def _manifest(request: StoreRequest) -> StoreManifest | None:
    """The manifest, if it is one of this store."""
    manifest = read_json(request.folder / MANIFEST, StoreManifest)
    if manifest is None or not fits(manifest.plan, request):
        return None
    return manifest if len(manifest.shards) == len(manifest.plan.num_rows) else None


def _complete(request: StoreRequest) -> tuple[Shard, ...] | None:
    manifest = _manifest(request)
    found, damages = _intact_shards(manifest, request)
    return None if manifest is None or damages else tuple(found.values())


def _build(request: StoreRequest, progress: Progress | None) -> tuple[Shard, ...]:
    # Another process may have built it in the meantime.
    if (complete := _complete(request)) is not None:
        return complete
    folder, key = request.folder, request.key.digest
    for leftover in folder.glob(f".*{PARTIAL_SUFFIX}"):
        leftover.unlink()
    manifest = _manifest(request)
    found, damages = _intact_shards(manifest, request)
    for damage in damages:
        _log.warning("%s; this shard is rebuilt", damage)
    plan = manifest.plan if manifest else planned(request)
    tasks = [
        task
        for task in _tasks(request, plan)
        if task.number not in found and (manifest is not None or not _is_there(task))
    ]
    faults = build_shards(tasks, len(request.entries), progress)
    if faults:
        raise CorpusError(faults)
    built = [open_shard(folder / shard_name(n), key, n) for n in range(len(plan.num_rows))]
    manifest = StoreManifest(plan=plan, shards=tuple(shard.record for shard in built))
    write_text_atomically(folder / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
    return tuple(built)


def _tasks(request: StoreRequest, plan: StorePlan) -> Iterator[ShardTask]:
    first = 0
    for number, num_rows in enumerate(plan.num_rows):
        yield ShardTask(
            folder=request.folder,
            key=request.key.digest,
            number=number,
            entries=request.entries[first : first + num_rows],
            min_duration_s=request.min_duration_s,
        )
        first += num_rows


def _is_there(task: ShardTask) -> bool:
    """Whether a build that was interrupted has finished this shard."""
    path = task.folder / shard_name(task.number)
    if not path.exists():
        return False
    try:
        return open_shard(path, task.key, task.number).record.num_rows == len(task.entries)
    except ShardDamage as damage:
        _log.warning("%s; this shard is rebuilt", damage)
        return False


def _num_rows_there(folder: Path) -> int:
    plan = read_json(folder / PLAN, StorePlan)
    rows = plan.num_rows if plan else ()
    return sum(n for number, n in enumerate(rows) if (folder / shard_name(number)).exists())
