"""A changed journal is rejected at its line; one with an incomplete last line is not."""

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from results.journal.journal import Journal, as_recorded, read_journal
from results.journal.run_folder import RunFolder
from results.journal.tail import JournalTail
from results.records.benchmark_row import BENCHMARK_COLUMNS, ROW_NUMBERS, BenchmarkRow
from results.records.search_records import SearchEnded, SearchResumed, SearchStarted
from spaces.files.errors import RunError
from tests.worlds.journals import write_journal
from trainable.machine.hardware import describe_hardware

CHAIN = "altered, or lines before it were altered, removed or inserted; restore the file"
TIMED = {"time_s": 1.0}
STARTED = TIMED | {
    "event": "trial_started",
    "trial": 0,
    "params": {},
    "config": {},
    "config_hash": "ab",
    "seed": 0,
}
EPOCH = TIMED | {"event": "epoch", "trial": 0, "epoch": 1, "veer_pct": 9.0}
ENDED = TIMED | {"event": "trial_ended", "trial": 0, "state": "complete", "reason": None}
PLACED = TIMED | {
    "event": "placed", "trial": 0, "epoch": 0, "host": "h", "pid": 1, "device": "cpu",
    "num_threads": 1, "had_s": 1.5, "hardware": {},
}  # fmt: skip
CORPUS = TIMED | {"event": "corpus", "lists": {}, "stores": {}}
OPENED = TIMED | {
    "event": "test_opened", "opening": "ab", "trial": 0, "epoch": 1, "path": "test.txt",
    "list_sha256": "cd", "num_pairs": 4, "model_sha256": "ef",
}  # fmt: skip
RESUMED = TIMED | {"event": "search_resumed"}
BENCHMARK = TIMED | {"event": "benchmark", "hardware": {}, "rows": []}


def altered(lines: list[bytes]) -> None:
    assert b'"lr":0.002' in lines[7]
    lines[7] = lines[7].replace(b'"lr":0.002', b'"lr":0.001')


def removed(lines: list[bytes]) -> None:
    del lines[7]


def repeated(lines: list[bytes]) -> None:
    lines.insert(8, lines[7])


def exchanged(lines: list[bytes]) -> None:
    lines[7], lines[8] = lines[8], lines[7]


def inserted(lines: list[bytes]) -> None:
    lines.insert(7, lines[20])


@pytest.mark.parametrize("change", [altered, removed, exchanged, inserted])
def test_a_change_is_refused_at_its_line(
    journal_run: RunFolder, change: Callable[[list[bytes]], None]
) -> None:
    lines = journal_run.journal.read_bytes().split(b"\n")
    change(lines)
    journal_run.journal.write_bytes(b"\n".join(lines))
    with pytest.raises(RunError, match=rf"journal\.jsonl:8: {CHAIN}"):
        journal_run.read()


def test_a_line_twice_is_refused_at_the_second(journal_run: RunFolder) -> None:
    lines = journal_run.journal.read_bytes().split(b"\n")
    repeated(lines)
    journal_run.journal.write_bytes(b"\n".join(lines))
    with pytest.raises(RunError, match=rf"journal\.jsonl:9: {CHAIN}"):
        journal_run.read()


def test_a_missing_first_line_is_refused(journal_run: RunFolder) -> None:
    lines = journal_run.journal.read_bytes().split(b"\n")
    journal_run.journal.write_bytes(b"\n".join(lines[1:]))
    with pytest.raises(RunError, match=rf"journal\.jsonl:1: {CHAIN}"):
        journal_run.read()


def test_every_flipped_bit_is_refused_or_cuts_the_last_line(journal_run: RunFolder) -> None:
    """A bit anywhere: never another record, at most one fewer, where the last line ends."""
    content, records = journal_run.journal.read_bytes(), journal_run.read()
    rng = random.Random(0)
    for _ in range(150):
        offset, bit = rng.randrange(len(content)), 1 << rng.randrange(8)
        flipped = bytearray(content)
        flipped[offset] ^= bit
        journal_run.journal.write_bytes(flipped)
        if offset == len(content) - 1:
            assert journal_run.read() == records[:-1]
        else:
            with pytest.raises(RunError, match=r"journal\.jsonl:\d+: "):
                journal_run.read()


def test_lines_cut_off_at_the_end_leave_the_journal_as_it_once_was(
    journal_run: RunFolder,
) -> None:
    records = journal_run.read()
    lines = journal_run.journal.read_bytes().splitlines(keepends=True)
    journal_run.journal.write_bytes(b"".join(lines[:-2]) + lines[-2][:30])
    assert journal_run.read() == records[:-2]


def test_checks_go_on_where_a_journal_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    for _ in range(3):
        with Journal(path) as journal:
            journal.append(SearchResumed())
            journal.append(SearchEnded(reason="interrupted"))
    path.write_bytes(path.read_bytes()[:-20])  # torn
    with Journal(path) as journal:
        journal.append(SearchResumed())
    assert len(read_journal(path)) == 6
    before = ""
    for line in path.read_text().splitlines():  # as the format is described
        check = json.loads(line)["check"]
        text = line.removesuffix(f',"check":"{check}"}}') + "}"
        assert hashlib.sha256((before + text).encode()).hexdigest()[:16] == check
        before = check


def test_readers_do_not_see_the_checks(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        record = journal.append(SearchEnded(reason="finished"))
    assert record.as_dict().keys() == {"event", "time_s", "reason"}
    assert read_journal(tmp_path / "j") == (record,)


@pytest.mark.parametrize("stripped", [0, 1, 2])
def test_a_line_without_a_check_is_refused(tmp_path: Path, stripped: int) -> None:
    path = tmp_path / "j"
    with Journal(path) as journal:
        for _ in range(3):
            journal.append(SearchResumed())
    lines = path.read_text().splitlines()
    lines[stripped] = lines[stripped].partition(',"check"')[0] + "}"
    path.write_text("\n".join(lines) + "\n")
    fault = f"j:{stripped + 1}: a line must end with a check, .*; restore the file from a copy"
    with pytest.raises(RunError, match=fault):
        read_journal(path)
    with pytest.raises(RunError, match=fault):
        JournalTail(path).read()


def test_a_journal_that_ends_without_a_check_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_text(json.dumps(RESUMED) + "\n")
    with pytest.raises(RunError, match=r"j: a line must end with a check, .*; restore the file"):
        Journal(path)
    assert path.read_text() == json.dumps(RESUMED) + "\n"


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (EPOCH | {"trial": "0"}, "trial of epoch must be a whole number of at least 0, got '0'"),
        (EPOCH | {"trial": -1}, "trial of epoch must be a whole number of at least 0, got '-1'"),
        (EPOCH | {"trial": True}, "trial of epoch must be a whole number"),
        (EPOCH | {"epoch": 0}, "epoch of epoch must be a whole number of at least 1, got '0'"),
        (EPOCH | {"epoch": 1.5}, "epoch of epoch must be a whole number of at least 1"),
        (EPOCH | {"veer_pct": "9"}, "veer_pct of epoch must be a number or null, got '9'"),
        (EPOCH | {"veer_pct": float("nan")}, "veer_pct of epoch must be a number or null"),
        (EPOCH | {"train_s": [1]}, "train_s of epoch must be a number or null"),
        (EPOCH | {"stage_shares": ["a"]}, "stage_shares of epoch must be a list of numbers"),
        (TIMED | {"event": "epoch", "trial": 0}, "epoch must have epoch, veer_pct"),
        ({"event": "search_resumed"}, "search_resumed must have time_s"),
        (ENDED | {"state": "done"}, r"state of trial_ended must be one of \['complete'"),
        (ENDED | {"state": []}, "state of trial_ended must be one of"),
        (STARTED | {"trial": 1, "params": [1]}, "params of trial_started must be a mapping"),
        (
            STARTED | {"trial": 1, "params": {"a": {"b": 1}}},
            "params of trial_started must be a mapping of text, numbers, true and false, got",
        ),
        *(
            (
                TIMED | {"event": "search_started", "settings": {"resources": resources},
                         "provenance": {}},
                "settings of search_started must be a mapping, .* its resources one of numbers",
            )
            for resources in ([1], {"cpu": "two"}, {"gpu": [0.5]})
        ),
        (TIMED | {"event": "trial_paused"}, "event must be one of .* got 'trial_paused'"),
        (TIMED | {"event": 3}, "a record must have an event"),
        (
            TIMED | {"event": "infrastructure", "kind": "out_of_memory", "trial": 0, "epoch": 0,
                     "message": ""},
            "infrastructure must have resource, share",
        ),
        (
            TIMED | {"event": "infeasible", "params": {}, "violations": [{"limit": "max_macs"}]},
            "violations of infeasible must be a list of mappings with limit, value and allowed",
        ),
        *(
            (PLACED | {"num_threads": number}, "num_threads of placed must be .* from 1 to 1024")
            for number in (0, -3, 10**9, 1.5, True, None)
        ),
        *(
            (PLACED | {"hardware": hardware}, "hardware of placed must be a mapping of text")
            for hardware in ({"python": 3}, {"cpu": [1]}, [])
        ),
        *(
            (CORPUS | {"lists": lists}, "lists of corpus must be a mapping of lists by role")
            for lists in ([], {"train": {}}, {"train": 5}, {"val": {"sha256": 5}})
        ),
        *(
            (CORPUS | {"stores": stores}, "stores of corpus must be a mapping of keys")
            for stores in (5, {"train": 5}, ["k"])
        ),
        *(
            (CORPUS | {"warnings": warnings}, "warnings of corpus must be a list of text")
            for warnings in ("w", [1], None)
        ),
        (OPENED | {"trial": None}, "trial of test_opened must be a whole number"),
        (OPENED | {"trial": 3}, "test_opened of trial 3, which has not started"),
        (OPENED | {"num_pairs": -1}, "num_pairs of test_opened must be a whole number"),
        *(
            (OPENED | {name: 5}, f"{name} of test_opened must be text, got '5'")
            for name in ("opening", "path", "list_sha256", "model_sha256")
        ),
        *(
            (RESUMED | {"provenance": provenance}, "provenance of search_resumed must be")
            for provenance in (
                [], {"versions": 5}, {"environment": [1]}, {"environment": {"A": 1}},
                {"hardware": {"python": 3}}, {"git": "abc"}, {"git": {"commit": 1}},
                {"cuda": [1]}, {"packages": {"a": 1}}, {"code_sha256": 5}, {"python": 3},
            )
        ),
        *(
            (BENCHMARK | {"rows": rows}, "rows of benchmark must be a list of rows, each with")
            for rows in ([{}], [{"model": "trial 0"}], {}, [5])
        ),
        (STARTED | {"trial": 2}, "trial 2 starts before trial 1"),
        (EPOCH | {"trial": 1}, "epoch of trial 1, which has not started"),
        (EPOCH | {"epoch": 3}, "epoch 3 of trial 0 without epoch 2"),
        (
            TIMED | {"event": "repeated", "params": {}, "config_hash": "", "same_as": 4},
            "repeated of trial 4, which has not started",
        ),
    ],
)  # fmt: skip
def test_a_record_that_no_reader_could_use_is_refused_at_its_line(
    tmp_path: Path, record: dict[str, Any], fault: str
) -> None:
    path = write_journal(tmp_path / "j", [STARTED, EPOCH, record])
    with pytest.raises(RunError, match=f"j:3: {fault}"):
        read_journal(path)


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (ENDED, "trial 0 ends a second time"),
        (ENDED | {"state": "failed"}, "trial 0 ends a second time"),
        (EPOCH | {"epoch": 2}, "epoch 2 of trial 0, which has ended"),
    ],
)
def test_what_comes_after_a_trials_end_is_refused(
    tmp_path: Path, record: dict[str, Any], fault: str
) -> None:
    path = write_journal(tmp_path / "j", [STARTED, EPOCH, ENDED, record])
    with pytest.raises(RunError, match=f"j:4: {fault}"):
        read_journal(path)
    again = write_journal(tmp_path / "j", [STARTED, EPOCH, ENDED, STARTED, EPOCH, ENDED])
    assert len(read_journal(again)) == 6


def test_what_veer_itself_writes_keeps_the_rules(tmp_path: Path) -> None:
    row = BenchmarkRow(
        model="trial 0", num_params=1, macs=1, batch_size=1, num_threads=1, latency_median_ms=1.0,
        latency_p95_ms=1.0, samples_per_s=1.0, real_time_factor=1.0, speed_ratio=None,
    )  # fmt: skip
    assert {"model", *ROW_NUMBERS} < set(BENCHMARK_COLUMNS)
    placed = PLACED | {"hardware": describe_hardware()}
    measured = BENCHMARK | {"hardware": describe_hardware(), "rows": [row.as_dict()]}
    path = write_journal(tmp_path / "j", [STARTED, placed, CORPUS, RESUMED, measured])
    assert len(read_journal(path)) == 5


def test_a_value_as_recorded_is_what_a_reader_sees(tmp_path: Path) -> None:
    value = {"low": 1e-3, "path": Path("a"), "choices": ("x", None), "high": float("inf")}
    with Journal(tmp_path / "j") as journal:
        journal.append(SearchStarted(settings=value, provenance={}))
    (record,) = read_journal(tmp_path / "j")
    assert record.settings == as_recorded(value)
