"""Stores read in full: shards whose vectors changed are named, and removed to be rebuilt."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from spaces.files.errors import StoreError
from trainable.store.folder import place_of
from trainable.store.lock import sole_builder, use_store
from trainable.store.plan import MANIFEST, StoreManifest, read_json
from trainable.store.shards import ShardDamage, ShardPlace, verify_shard
from trainable.store.tasks import Progress, part_of


def verify_store(folder: Path) -> tuple[str, ...]:
    """Read all of a complete store; one sentence a damaged shard, naming it, is returned."""
    manifest = read_json(folder / MANIFEST, StoreManifest)
    if manifest is None:
        return (_without_manifest(folder),)
    return tuple(str(damage) for _, damage in _damages(folder, manifest, None))


def remove_damaged(folders: Sequence[Path], progress: Progress | None = None) -> tuple[str, ...]:
    """Read all of complete stores, and remove each damaged shard; opening a store rebuilds it.

    No process builds in a store meanwhile. One that has a removed shard open keeps the old file.

    Args:
        folders: The stores.
        progress: Told (shards read, shards in all).

    Returns:
        One sentence a damaged shard, naming it.

    Raises:
        StoreError: A store is not complete, or a shard cannot be removed.
    """
    manifests = [_manifest(folder) for folder in folders]
    num_all, done = sum(len(manifest.shards) for manifest in manifests), 0
    damages: list[str] = []
    for folder, manifest in zip(folders, manifests, strict=True):
        damages += _removed(folder, part_of(progress, done, num_all))
        done += len(manifest.shards)
    return tuple(damages)


def _removed(folder: Path, progress: Progress | None) -> Iterator[str]:
    use = use_store(folder)
    try:
        with sole_builder(folder, lambda: None):
            for place, damage in _damages(folder, _manifest(folder), progress):
                place.path.unlink(missing_ok=True)
                yield str(damage)
    except OSError as error:
        raise StoreError(
            f"{folder}: a damaged shard there cannot be removed: {error.strerror or error}; "
            "get the right to write there, or name another folder in $VEER_CACHE"
        ) from error
    finally:
        use.release()


def _damages(
    folder: Path, manifest: StoreManifest, progress: Progress | None
) -> Iterator[tuple[ShardPlace, ShardDamage]]:
    for number, record in enumerate(manifest.shards):
        place = place_of(folder, manifest, number)
        try:
            verify_shard(place, record)
        except ShardDamage as damage:
            yield place, damage
        if progress:
            progress(number + 1, len(manifest.shards))


def _manifest(folder: Path) -> StoreManifest:
    manifest = read_json(folder / MANIFEST, StoreManifest)
    if manifest is None:
        raise StoreError(f"{_without_manifest(folder)}; `veer data build` writes it anew")
    return manifest


def _without_manifest(folder: Path) -> str:
    return f"{folder / MANIFEST}: is missing or damaged"
