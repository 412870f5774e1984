from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worlds.object_store import ObjectStore, object_store
from trainable.storage.remote import RemoteFolder
from trainable.storage.retrying import Patience

QUICK = Patience(attempts=3, first_wait_s=0.01)


@pytest.fixture(scope="module")
def one_store() -> Iterator[ObjectStore]:
    with pytest.MonkeyPatch.context() as patch, object_store(patch) as store:
        yield store


@pytest.fixture
def store(one_store: ObjectStore) -> Iterator[ObjectStore]:
    """A server without faults, whose requests count from 0."""
    one_store.num_requests.clear()
    yield one_store
    one_store.set_fault(None)


@pytest.fixture
def remote(store: ObjectStore, tmp_path: Path) -> RemoteFolder:
    """A folder of its own of that server."""
    del store
    return RemoteFolder(f"s3://bucket/{tmp_path.name}", QUICK)
