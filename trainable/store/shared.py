"""Stores that are shared through object storage: fetched once by each machine, kept in bounds.

The manifest goes up last, so what can be fetched is complete. A store that came, or that went up
from here, has the file `shared`; only such stores make room for others, the longest unused first.
"""

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from spaces.files.atomic import write_bytes_atomically
from spaces.files.errors import ConfigError, StorageError, StoreError
from spaces.files.locations import origin_of
from trainable.storage.remote import RemoteFolder
from trainable.storage.retrying import TRIAL
from trainable.store.cache import list_stores
from trainable.store.lock import remove_store
from trainable.store.plan import MANIFEST, PLAN, StoreManifest, read_json
from trainable.store.shards import ShardDamage, ShardLocation, verify_shard

SHARED_FILE = "shared"
LIMIT_VARIABLE = "VEER_LOCAL_GB"
# Of the disk, for the stores of one URI, if the variable is not set.
DEFAULT_FRACTION = 0.5
FETCHES_OF_A_SHARD = 3


def fetch_store(folder: Path) -> bool:
    """Fetch a store that object storage has, whole and checked, if its cache is kept there.

    To be called with the store's build lock, so that one process of a machine fetches it.

    Returns:
        Whether it is here now; False where there is none, or the cache is only on this machine.

    Raises:
        StorageError: The store cannot be reached, or a shard there is damaged.
        StoreError: The shards are larger than the room that they may take.
        DiskFullError: There is no room here.
    """
    remote = _remote_of(folder)
    if remote is None or (size := remote.size(MANIFEST)) is None:
        return False
    remote.fetch(MANIFEST, folder / f".{MANIFEST}.fetched")
    manifest = read_json(folder / f".{MANIFEST}.fetched", StoreManifest)
    if manifest is None:
        raise StorageError(
            f"{remote.uri}/{MANIFEST}: must be a manifest of a store, got {size} other bytes; "
            "delete that folder there, and it is built again"
        )
    _make_room(folder, sum(record.size_bytes for record in manifest.shards))
    plan = manifest.plan
    for number, record in enumerate(manifest.shards):
        location = ShardLocation(folder=folder, kind=plan.kind, key=plan.key, number=number)
        _fetch_shard(remote, location, partial(verify_shard, location, record))
    write_bytes_atomically(folder / PLAN, (plan.model_dump_json(indent=1) + "\n").encode())
    (folder / f".{MANIFEST}.fetched").replace(folder / MANIFEST)
    (folder / SHARED_FILE).touch()
    return True


def share_store(folder: Path) -> None:
    """Upload a complete store, if its cache is kept in object storage and it is not there yet.

    Raises:
        StorageError: The store cannot be reached.
    """
    remote = _remote_of(folder)
    if remote is None or (folder / SHARED_FILE).exists():
        return
    # Also those that are there: another machine that was interrupted may have rounded otherwise.
    for file in sorted(folder.glob("*.arrow")):
        remote.put(file, file.name)
    remote.put(folder / PLAN, PLAN)
    remote.put(folder / MANIFEST, MANIFEST)
    (folder / SHARED_FILE).touch()


def unshare_store(folder: Path) -> None:
    """Note that a store differs from the one in object storage: a shard was built again.

    Raises:
        StorageError: The store cannot be reached.
    """
    remote = _remote_of(folder)
    if remote is not None and (folder / SHARED_FILE).exists():
        for name in remote.files():
            remote.delete(name)
        (folder / SHARED_FILE).unlink()


def local_limit_bytes(folder: Path) -> int:
    """Return how many bytes the stores of one URI may take on this machine.

    Raises:
        ConfigError: $VEER_LOCAL_GB is no number above 0.
    """
    given = os.environ.get(LIMIT_VARIABLE)
    if not given:
        return int(shutil.disk_usage(folder).total * DEFAULT_FRACTION)
    try:
        limit_gb = float(given)
    except ValueError:
        limit_gb = 0.0
    if not limit_gb > 0:
        raise ConfigError(
            f"${LIMIT_VARIABLE} must be a number of gigabytes above 0, got {given!r}"
        )
    return int(limit_gb * 1e9)


def _remote_of(folder: Path) -> RemoteFolder | None:
    uri = origin_of(folder.parent)
    return None if uri is None else RemoteFolder(f"{uri}/{folder.name}", TRIAL)


def _fetch_shard(
    remote: RemoteFolder, location: ShardLocation, verify: Callable[[], None]
) -> None:
    """Fetch a shard that is not here, and compare all of its vectors with their checksums."""
    path = location.path
    for attempt in range(1, FETCHES_OF_A_SHARD + 1):
        try:
            if path.exists():  # an interrupted fetch has left it
                verify()
                return
            remote.fetch(path.name, path)
            verify()
        except FileNotFoundError:
            raise StorageError(
                f"{remote.uri}/{path.name}: is missing, and the manifest there lists it; delete "
                "that folder there, and it is built again"
            ) from None
        except ShardDamage as damage:
            path.unlink(missing_ok=True)
            if attempt == FETCHES_OF_A_SHARD:
                raise StorageError(
                    f"{remote.uri}/{path.name}: came damaged {attempt} times: {damage}; delete "
                    "that folder there, and it is built again"
                ) from damage
        else:
            return


def _make_room(folder: Path, num_bytes: int) -> None:
    """Remove stores that nobody uses, the longest unused first, until another one fits."""
    limit_bytes = local_limit_bytes(folder)
    others = [store for store in list_stores(folder.parent) if store.folder != folder]
    used_bytes = sum(store.size_bytes for store in others)
    for store in reversed(others):  # the last used comes first
        if used_bytes + num_bytes <= limit_bytes:
            return
        if (store.folder / SHARED_FILE).exists() and remove_store(store.folder):
            used_bytes -= store.size_bytes
    if used_bytes + num_bytes > limit_bytes:
        raise StoreError(
            f"{folder}: the stores of {origin_of(folder.parent)} may take "
            f"{limit_bytes / 1e9:g} GB of this machine, and with this one those in use would take "
            f"{(used_bytes + num_bytes) / 1e9:.3g} GB; raise ${LIMIT_VARIABLE}"
        )
