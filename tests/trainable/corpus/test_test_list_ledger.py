"""The ledger of a test list's openings."""

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from spaces.files.errors import RunError
from trainable.corpus.test_list_ledger import LEDGER, Opening, OpeningLedger, new_opening

SHA256 = "a" * 64


@pytest.fixture
def list_file(tmp_path: Path) -> Path:
    (tmp_path / "lab").mkdir()
    return tmp_path / "lab" / "test_list.txt"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def opening(list_file: Path, model: str = "m.model", **fields: Any) -> Opening:
    made = new_opening(
        model=Path(model),
        model_sha256="b" * 64,
        list_file=list_file,
        list_sha256=SHA256,
        num_pairs=10,
    )
    return made.model_copy(update=fields)


def models_of(ledger: OpeningLedger, sha256: str = SHA256) -> list[str]:
    return [Path(each.model).name for each in ledger.past(sha256).openings]


def test_an_opening_is_recorded_at_the_list_and_in_the_cache(list_file: Path, cache: Path) -> None:
    ledger = OpeningLedger(list_file, cache)
    past, files = ledger.record(opening(list_file))
    assert past.openings == ()
    assert files == (list_file.parent / LEDGER, cache / LEDGER)
    for file in files:
        record = json.loads(file.read_text())
        assert (record["event"], record["num_pairs"]) == ("opened", 10)
        assert record["user"]
        assert record["host"]
        assert record["version"]


def test_an_opening_in_two_files_counts_once(list_file: Path, cache: Path) -> None:
    ledger = OpeningLedger(list_file, cache)
    ledger.record(opening(list_file, "one.model"))
    past, _ = ledger.record(opening(list_file, "two.model"))
    assert [Path(each.model).name for each in past.openings] == ["one.model"]
    assert models_of(ledger) == ["one.model", "two.model"]


def test_others_who_share_the_list_share_the_count(list_file: Path, tmp_path: Path) -> None:
    OpeningLedger(list_file, tmp_path / "mine").record(opening(list_file))
    assert models_of(OpeningLedger(list_file, tmp_path / "theirs")) == ["m.model"]


def test_a_copy_elsewhere_counts_through_the_cache(
    list_file: Path, cache: Path, tmp_path: Path
) -> None:
    OpeningLedger(list_file, cache).record(opening(list_file))
    assert models_of(OpeningLedger(tmp_path / "elsewhere" / "copy.txt", cache)) == ["m.model"]


def test_another_list_in_the_folder_has_its_own_count(list_file: Path, cache: Path) -> None:
    ledger = OpeningLedger(list_file, cache)
    ledger.record(opening(list_file))
    assert models_of(ledger, "c" * 64) == []


def test_only_the_cache_holds_it_where_the_folder_cannot_be_written(
    list_file: Path, cache: Path
) -> None:
    (list_file.parent / LEDGER).mkdir()  # what no one can append to, root neither
    ledger = OpeningLedger(list_file, cache)
    _, files = ledger.record(opening(list_file))
    assert files == (cache / LEDGER,)
    assert models_of(ledger) == ["m.model"]


def test_it_is_refused_where_nothing_can_be_written(list_file: Path, cache: Path) -> None:
    for file in (list_file.parent / LEDGER, cache / LEDGER):
        file.mkdir(parents=True)
    with pytest.raises(RunError, match=r"neither file can be written: .*/lab/test_openings.jsonl"):
        OpeningLedger(list_file, cache).record(opening(list_file))


def test_a_planted_link_is_not_written_through(list_file: Path, cache: Path) -> None:
    mine = list_file.parent / "mine.txt"
    mine.write_text("mine")
    (list_file.parent / LEDGER).symlink_to(mine)
    with pytest.raises(RunError, match=r"is a link to .*mine\.txt"):
        OpeningLedger(list_file, cache).record(opening(list_file))
    assert mine.read_text() == "mine"


def test_metrics_belong_to_their_opening(list_file: Path, cache: Path) -> None:
    ledger = OpeningLedger(list_file, cache)
    first, second = opening(list_file, "one.model"), opening(list_file, "two.model")
    ledger.record(first)
    ledger.record(second)
    ledger.record_metrics(first, {"eer_pct": 3.5})
    assert [each.figures for each in ledger.past(SHA256).openings] == [{"eer_pct": 3.5}, None]


def test_openings_come_in_the_order_of_time(list_file: Path, cache: Path) -> None:
    ledger = OpeningLedger(list_file, cache)
    ledger.record(opening(list_file, "late.model", time_s=20.0))
    ledger.record(opening(list_file, "early.model", time_s=10.0))
    assert models_of(ledger) == ["early.model", "late.model"]


def test_a_torn_line_is_reported_and_the_next_line_is_whole(list_file: Path, cache: Path) -> None:
    ledger = OpeningLedger(list_file, cache)
    ledger.record(opening(list_file, "one.model"))
    beside = list_file.parent / LEDGER
    beside.write_bytes(beside.read_bytes() + b'{"event": "ope')
    ledger.record(opening(list_file, "two.model"))
    past = ledger.past(SHA256)
    assert models_of(ledger) == ["one.model", "two.model"]
    assert past.unreadable == (f"{beside}:2",)


@pytest.mark.parametrize(
    "line",
    ["[]", "7", '{"event": "opened"}', '{"event": "figures", "id": []}', '{"no": 1}', "\xff"],
)
def test_a_damaged_line_is_reported_and_harms_no_other(
    line: str, list_file: Path, cache: Path
) -> None:
    ledger = OpeningLedger(list_file, cache)
    ledger.record(opening(list_file))
    with (cache / LEDGER).open("a") as file:
        file.write(line + "\n")
    assert models_of(ledger) == ["m.model"]
    assert ledger.past(SHA256).unreadable == (f"{cache / LEDGER}:2",)


def test_fields_of_a_later_version_are_left_out(list_file: Path, cache: Path) -> None:
    later = {"event": "opened", **opening(list_file).model_dump(), "mood": "hopeful"}
    (list_file.parent / LEDGER).write_text(json.dumps(later) + "\n")
    assert models_of(OpeningLedger(list_file, cache)) == ["m.model"]


def _record_many(list_file: Path, cache: Path, number: int) -> None:
    ledger = OpeningLedger(list_file, cache)
    for each in range(20):
        ledger.record(opening(list_file, f"{number}-{each}.model"))


def test_two_at_once_lose_no_opening(list_file: Path, cache: Path) -> None:
    context = multiprocessing.get_context("fork")
    both = [
        context.Process(target=_record_many, args=(list_file, cache, number))
        for number in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(timeout=60)
    assert [process.exitcode for process in both] == [0, 0]
    past = OpeningLedger(list_file, cache).past(SHA256)
    assert len(past.openings) == 40
    assert past.unreadable == ()
