"""A journal read while it grows."""

from pathlib import Path

import pytest

from results.journal.journal import Journal, read_journal
from results.journal.tail import JournalTail
from results.records.search_records import SearchEnded, SearchResumed, SearchStarted
from spaces.files.errors import RunError
from tests.worlds.journal_writing import report, start


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "journal.jsonl"


def test_only_what_is_new_is_read_and_all_of_it_is_what_a_reader_sees(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(SearchStarted(settings={}, provenance={}))
        tail = JournalTail(path)
        assert (tail.read(), tail.read()) == (1, 0)
        start(journal, 0, loss__distillation="none", training__lr=1e-3)
        report(journal, 0, 1, 20.0)
        assert tail.read() == 2
    assert tuple(tail.records) == read_journal(path)


def test_a_torn_last_line_waits_for_its_end(path: Path) -> None:
    with Journal(path) as journal:
        for _ in range(3):
            journal.append(SearchResumed())
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:20])
    tail = JournalTail(path)
    assert (tail.read(), tail.read()) == (1, 0)
    with path.open("ab") as file:
        file.write(lines[1][20:] + lines[2][:-1])
    assert tail.read() == 1
    with path.open("ab") as file:
        file.write(b"\n")
    assert (tail.read(), len(tail.records)) == (1, 3)


def test_a_torn_line_that_a_resumed_search_cuts_off_was_never_read(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(SearchResumed())
    with path.open("ab") as file:
        file.write(b'{"event":"search_res')
    tail = JournalTail(path)
    assert tail.read() == 1
    with Journal(path) as journal:  # cuts it off
        journal.append(SearchEnded(reason="finished"))
    assert tail.read() == 1
    assert tuple(tail.records) == read_journal(path)


def test_a_line_that_does_not_follow_from_those_before_is_refused(path: Path) -> None:
    with Journal(path) as journal:
        for _ in range(3):
            journal.append(SearchResumed())
    first, _, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first)
    tail = JournalTail(path)
    tail.read()
    path.write_bytes(first + last)  # the same file, a line taken out
    with pytest.raises(RunError, match=r"journal.jsonl:2: altered, or lines before it were"):
        tail.read()


def test_an_epoch_of_a_trial_that_never_started_is_refused(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(SearchResumed())
        tail = JournalTail(path)
        tail.read()
        report(journal, 3, 1, 20.0)
    for _ in range(2):  # the second reading does not go past it
        with pytest.raises(RunError, match=":2: epoch of trial 3, which has not started"):
            tail.read()
    assert len(tail.records) == 1


def test_a_journal_that_became_shorter_or_another_is_refused(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(SearchResumed())
    tail = JournalTail(path)
    tail.read()
    content = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(RunError, match="was replaced by another journal"):
        tail.read()
    path.write_bytes(content)
    assert tail.read() == 0
    path.rename(path.with_suffix(".old"))
    path.write_bytes(content)
    with pytest.raises(RunError, match="was replaced by another journal"):
        tail.read()
    path.unlink()
    with pytest.raises(RunError, match="no journal here"):
        tail.read()
