"""Every kind of file on a disk that is really full: the old one stands, nothing half is left."""

import re
from pathlib import Path

import pytest

from tests.full_disk import run_case

FULL_DISK_ERROR = re.compile(
    r"(?P<path>[^:]+): cannot be written \((No space left on device|File too large)\): "
    r"(?P<needed>[\d,]+) bytes are to be written, (?P<free>[\d,]+) bytes are free on its file "
    r"system; (free room there|raise the limit .*) and continue: what was written before is "
    r"intact"
)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Where the small disk is put."""
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


@pytest.mark.parametrize(
    ("case", "name", "needed"),
    [
        ("text", "a.txt", 100_000),
        ("yaml", "config.yaml", None),
        ("journal", "journal.jsonl", None),
        pytest.param("tables", "trials.parquet", None, marks=pytest.mark.slow),
        pytest.param("study", "optuna-journal.log", None, marks=pytest.mark.slow),
        pytest.param("checkpoint", "model/model000000002.model", None, marks=pytest.mark.slow),
        ("embeddings", "e.parquet", 128_000),
    ],
)
def test_the_old_file_stands_and_the_error_names_path_and_room(
    disk: Path, case: str, name: str, needed: int | None
) -> None:
    outcome = run_case(case, disk)
    assert outcome["after"] == outcome["before"] != {}
    match = FULL_DISK_ERROR.fullmatch(outcome["message"] or "no error")
    assert match is not None, outcome["message"]
    assert Path(match["path"]) == disk / name
    num_bytes = int(match["needed"].replace(",", ""))
    if needed is not None:
        assert num_bytes == needed
    if outcome["kind"] == "mounted":
        assert int(match["free"].replace(",", "")) < num_bytes


def test_nothing_follows_a_record_that_was_written_in_part(disk: Path) -> None:
    assert run_case("journal", disk)["events"] == ["search_resumed", "search_ended"]


def test_a_journal_that_takes_no_record_is_an_error(disk: Path) -> None:
    outcome = run_case("new_journal", disk)
    assert f"{disk}/journal.jsonl: cannot be written" in outcome["message"]
    assert outcome["after"].keys() - outcome["before"].keys() <= {"journal.jsonl"}


@pytest.mark.parametrize("left_bytes", [40_960, 110_592], ids=["while-spilling", "while-copying"])
def test_a_shard_that_finds_no_room_leaves_the_others(disk: Path, left_bytes: int) -> None:
    outcome = run_case("shard", disk, left_bytes)
    assert outcome["after"] == outcome["before"]
    assert list(outcome["before"]) == ["things-00000.arrow"]
    match = FULL_DISK_ERROR.fullmatch(outcome["message"])
    assert match is not None, outcome["message"]
    assert Path(match["path"]) == disk / "things-00001.arrow"
    # Of 100,000 bytes; while they are computed only those so far are known.
    assert left_bytes / 2 < int(match["needed"].replace(",", "")) <= 100_000


@pytest.mark.parametrize(("case", "name"), [("text", "a.txt"), ("journal", "journal.jsonl")])
def test_a_file_above_the_size_limit_of_the_user_is_reported_the_same_way(
    disk: Path, case: str, name: str
) -> None:
    outcome = run_case(case, disk, is_limited=True)
    assert outcome["after"] == outcome["before"] != {}
    match = FULL_DISK_ERROR.fullmatch(outcome["message"])
    assert match is not None
    assert Path(match["path"]) == disk / name
    assert "(File too large)" in outcome["message"]
    assert "raise the limit on the size of a file (`ulimit -f`)" in outcome["message"]


def test_a_log_without_room_is_reported_once_and_stops_nothing(disk: Path) -> None:
    outcome = run_case("log", disk)
    assert outcome["message"] is None
    assert outcome["stderr"] == ""
    (warning,) = outcome["warnings"]
    assert warning.startswith(f"{disk}/log.txt: lines are missing from the log: ")


def test_a_run_folder_without_room_for_its_lock_is_refused(disk: Path) -> None:
    outcome = run_case("lock", disk)
    assert f"{disk}/.lock: cannot be written" in outcome["message"]
