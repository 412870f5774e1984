"""The journal survives a crash and refuses what no reader could use."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from results.journal.hash_chain import split_check
from results.journal.journal import Journal, read_journal
from results.records.record import Record
from results.records.records import EVENTS, RECORD
from results.records.search_records import SearchEnded, SearchResumed, TeacherRecord
from results.records.trial_records import EpochEnded, TrialEnded, TrialStarted
from spaces.files.errors import RunError
from tests.worlds.journals import write_journal

HASHED = {"config_hash": "ab", "seed": 0}


def parsed(path: Path) -> list[Record]:
    """Return the records without the rules of their order."""
    return [RECORD.validate_json(split_check(line)[0]) for line in path.read_bytes().splitlines()]


def test_records_are_read_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "run" / "journal.jsonl"
    before = time.time()
    with Journal(path) as journal:
        first = journal.append(TrialStarted(trial=0, params={}, config={}, **HASHED))
        second = journal.append(EpochEnded(trial=0, epoch=1, veer_pct=12.5, lr=1e-3))
    assert read_journal(path) == (first, second)
    assert second.event == "epoch"
    assert before <= second.time_s <= time.time()
    assert (second.trial, second.veer_pct, second.lr) == (0, 12.5, 1e-3)


def test_a_record_is_in_the_file_once_append_returns(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    code = (
        "import os, sys; from pathlib import Path; from results.journal.journal import Journal;"
        "from results.records.search_records import SearchEnded;"
        "Journal(Path(sys.argv[1])).append(SearchEnded(reason='finished')); os._exit(9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert done.returncode == 9
    assert [record.reason for record in read_journal(path)] == ["finished"]


def test_records_with_the_same_fields_share_the_set_of_their_names(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        for epoch in (1, 2):
            journal.append(EpochEnded(trial=0, epoch=epoch, veer_pct=12.5, lr=1e-3))
        journal.append(EpochEnded(trial=0, epoch=3, veer_pct=12.5))
        first, second, other = (record.model_fields_set for record in parsed(path))
    assert first is second
    assert other == first - {"lr"}


@pytest.mark.parametrize("kept", [1, 10, -2])
def test_a_torn_last_line_is_skipped_and_closed_on_reopening(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append(SearchResumed())
        whole = path.stat().st_size
        journal.append(TrialEnded(trial=0, state="failed", reason="äöü"))
    line = path.read_bytes()[whole:]
    path.write_bytes(path.read_bytes()[:whole] + line[:kept])
    assert [record.event for record in read_journal(path)] == ["search_resumed"]
    with Journal(path) as journal:
        journal.append(SearchEnded(reason="interrupted"))
    events = [record.event for record in read_journal(path)]
    assert events == ["search_resumed", "search_ended"]


def test_a_line_torn_inside_a_character_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write_journal(path, [SearchResumed(time_s=1)])
    with path.open("ab") as file:
        file.write(b'{"reason":"\xc3')
    assert [record.time_s for record in read_journal(path)] == [1]


def test_reopening_a_whole_journal_adds_no_blank_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    for _ in range(3):
        with Journal(path) as journal:
            journal.append(SearchResumed())
    assert path.read_text().count("\n") == 3
    assert len(read_journal(path)) == 3


def test_values_become_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append(
            TeacherRecord(
                path=Path("a/b.model"),
                veer_pct=float("nan"),
                num_params=np.int64(7),
                sha256="ab",
                extra={"values": (np.float32(0.5), float("inf"), True)},
            )
        )
    (record,) = read_journal(path)
    assert record.path == "a/b.model"
    assert record.veer_pct is None
    assert record.num_params == 7
    assert record.extra == {"values": [0.5, None, True]}
    assert "NaN" not in path.read_text()


def test_a_search_may_end_because_its_target_is_met(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        assert journal.append(SearchEnded(reason="target_met")).reason == "target_met"


@pytest.mark.parametrize(
    ("event", "fields", "message"),
    [
        ("epoch", {"trial": 1, "epoch": 2}, "epoch must have veer_pct"),
        ("epoch", {"trial": "1", "epoch": 2, "veer_pct": 3.0}, "must be a whole number of at"),
        ("trial_ended", {"trial": 1, "state": "done", "reason": None}, "got 'done'"),
        ("search_ended", {"reason": "bored"}, "got 'bored'"),
        ("repeated", {"params": {}, "same_as": 1}, "repeated must have config_hash"),
        ("infeasible", {"params": {}}, "infeasible must have violations"),
        ("start_points", {}, "start_points must have points"),
    ],
)
def test_a_record_without_what_readers_need_is_refused(
    event: str, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        EVENTS[event](**fields)


def test_a_missing_journal_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"nowhere\.jsonl: no journal here"):
        read_journal(tmp_path / "nowhere.jsonl")


def test_a_line_that_is_no_record_is_an_error_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write_journal(path, [SearchResumed()])
    with path.open("ab") as file:
        file.write(b"[1, 2]\n")
    with pytest.raises(RunError, match=r"journal\.jsonl:2: .* got b'\[1, 2\]'"):
        read_journal(path)


def test_a_damaged_line_before_the_last_is_an_error_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        for _ in range(3):
            journal.append(SearchResumed())
    lines = path.read_bytes().split(b"\n")
    lines[1] = b'{"event":"epo'
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(RunError, match=r"journal.jsonl:2: damaged, .* got b'{\"event\":\"epo'"):
        read_journal(path)


def test_a_whole_last_line_without_its_newline_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(write_journal(path, [SearchResumed()]).read_bytes().rstrip())
    with Journal(path) as journal:
        journal.append(SearchEnded(reason="interrupted"))
    events = [record.event for record in read_journal(path)]
    assert events == ["search_resumed", "search_ended"]
