"""A journal in object storage."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from results.journal.parts import JournalParts, read_parts
from spaces.files.errors import RunError, StorageError
from tests.worlds.object_store import ObjectStore, object_store
from trainable.storage.remote import RemoteFolder
from trainable.storage.retrying import Patience

PART_BYTES = 30


@pytest.fixture(scope="module")
def one_store() -> Iterator[ObjectStore]:
    with pytest.MonkeyPatch.context() as patch, object_store(patch) as store:
        yield store


@pytest.fixture
def run(one_store: ObjectStore, tmp_path: Path) -> Iterator[RemoteFolder]:
    yield RemoteFolder(
        f"s3://bucket/{tmp_path.name}", Patience(attempts=2, first_wait_s=0.01)
    )
    one_store.set_fault(None)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    (tmp_path / "journal.jsonl").touch()
    return tmp_path / "journal.jsonl"


def append(journal: Path, text: str) -> None:
    with journal.open("a") as file:
        file.write(text)


def test_parts_together_are_the_journal(run: RemoteFolder, journal: Path) -> None:
    parts = JournalParts(journal, run, PART_BYTES)
    for number in range(20):
        append(journal, f'{{"record":{number}}}\n')
        if number % 3:
            parts.upload()
    assert read_parts(run) == journal.read_bytes()
    sizes = run.child("journal").files()
    assert len(sizes) > 5
    assert max(sizes.values()) < PART_BYTES + 20


def test_a_line_that_is_being_written_is_left_out(run: RemoteFolder, journal: Path) -> None:
    parts = JournalParts(journal, run, PART_BYTES)
    append(journal, '{"a":1}\n{"b"')
    parts.upload()
    assert read_parts(run) == b'{"a":1}\n'
    append(journal, ":2}\n")
    parts.upload()
    assert read_parts(run) == journal.read_bytes()


def test_another_process_goes_on_where_the_first_one_ended(
    run: RemoteFolder, journal: Path
) -> None:
    for number in range(10):
        append(journal, f'{{"record":{number}}}\n')
        JournalParts(journal, run, PART_BYTES).upload()
    assert read_parts(run) == journal.read_bytes()


def test_two_writers_are_noticed(run: RemoteFolder, journal: Path) -> None:
    one, other = (JournalParts(journal, run, PART_BYTES) for _ in range(2))
    append(journal, '{"a":1}\n')
    one.upload()
    append(journal, '{"b":2}\n')
    with pytest.raises(RunError, match=r"must have 0 bytes, got 8: another process continues"):
        other.upload()
    assert read_parts(run) == b'{"a":1}\n'


def test_an_outage_leaves_the_earlier_journal(
    one_store: ObjectStore, run: RemoteFolder, journal: Path
) -> None:
    parts = JournalParts(journal, run, PART_BYTES)
    append(journal, '{"a":1}\n')
    parts.upload()
    one_store.set_fault("500", -1, "PUT", "POST")
    append(journal, '{"b":2}\n')
    with pytest.raises(StorageError, match="cannot be written"):
        parts.upload()
    one_store.set_fault(None)
    assert read_parts(run) == b'{"a":1}\n'
    parts.upload()
    assert read_parts(run) == journal.read_bytes()


def test_a_missing_part_is_refused(run: RemoteFolder, journal: Path) -> None:
    append(journal, "".join(f'{{"record":{number}}}\n' for number in range(20)))
    JournalParts(journal, run, PART_BYTES).upload()
    names = sorted(run.child("journal").files())
    run.child("journal").delete(names[1])
    with pytest.raises(RunError, match=rf"{names[2]}: the parts before it must have"):
        read_parts(run)
