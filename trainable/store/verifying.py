"""Verification of stores in full: changed shards are reported, or removed for a rebuild."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from spaces.files.errors import StoreError
from trainable.store.folder import shard_location
from trainable.store.lock import sole_builder, use_store
from trainable.store.plan import MANIFEST, StoreManifest, read_json
from trainable.store.shards import ShardDamage, ShardLocation, verify_shard
from trainable.store.tasks import ProgressCallback, offset_progress


def verify_store(folder: Path) -> tuple[str, ...]:
    """Read a complete store in full; return one sentence for each damaged shard."""
    manifest = read_json(folder / MANIFEST, StoreManifest)
    if manifest is None:
        return (_without_manifest(folder),)
    return tuple(str(damage) for _, damage in _damages(folder, manifest, None))


def remove_damaged(
    folders: Sequence[Path], progress: ProgressCallback | None = None
) -> tuple[str, ...]:
    """Read complete stores in full, and remove each damaged shard; opening a store rebuilds it.

    No other process builds in a store during this. A process that has a removed shard open keeps
    the old file.

    Args:
        folders: Folders of the stores.
        progress: Called with (shards read, shards in all).

    Returns:
        One sentence for each damaged shard.

    Raises:
        StoreError: A store is not complete, or a shard cannot be removed.
    """
    manifests = [_manifest(folder) for folder in folders]
    num_all, done = sum(len(manifest.shards) for manifest in manifests), 0
    damages: list[str] = []
    for folder, manifest in zip(folders, manifests, strict=True):
        damages += _remove_damaged(folder, offset_progress(progress, done, num_all))
        done += len(manifest.shards)
    return tuple(damages)


def _remove_damaged(folder: Path, progress: ProgressCallback | None) -> Iterator[str]:
    # The first lock keeps the store from being pruned, the second waits for a build in progress.
    use = use_store(folder)
    try:
        with sole_builder(folder, lambda: None):
            for location, damage in _damages(folder, _manifest(folder), progress):
                location.path.unlink(missing_ok=True)
                yield str(damage)
    except OSError as error:
        raise StoreError(
            f"{folder}: a damaged shard there cannot be removed: {error.strerror or error}; "
            "get the right to write there, or name another folder in $VEER_CACHE"
        ) from error
    finally:
        use.release()


def _damages(
    folder: Path, manifest: StoreManifest, progress: ProgressCallback | None
) -> Iterator[tuple[ShardLocation, ShardDamage]]:
    for number, record in enumerate(manifest.shards):
        location = shard_location(folder, manifest, number)
        try:
            verify_shard(location, record)
        except ShardDamage as damage:
            yield location, damage
        if progress:
            progress(number + 1, len(manifest.shards))


def _manifest(folder: Path) -> StoreManifest:
    manifest = read_json(folder / MANIFEST, StoreManifest)
    if manifest is None:
        raise StoreError(f"{_without_manifest(folder)}; `veer data build` writes it again")
    return manifest


def _without_manifest(folder: Path) -> str:
    return f"{folder / MANIFEST}: is missing or damaged"
