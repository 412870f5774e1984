"""A journal that was damaged or tampered with: tables, views and a search from it, or an error."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.journal.hash_chain import START, chained, split_check
from results.journal.journal import Journal, read_journal
from results.records.benchmark_row import ROW_NUMBERS
from results.records.search_records import (
    CorpusRecord,
    InfeasibleSuggestion,
    ModelsBenchmarked,
    RepeatedSuggestion,
    SearchEnded,
    SearchStarted,
    TeacherRecord,
)
from results.records.trial_records import InfrastructureFault, TrialPlaced
from spaces.files.digest import file_sha256
from spaces.files.errors import VeerError
from tests.fuzz.journal_readers import (
    CORPUS,
    USES,
    coordinator_on,
)
from tests.fuzz.mutation import fuzzed, mutated


def searched(journal: Journal) -> None:
    """A search of four trials."""
    coordinator = coordinator_on(journal)
    while (course := coordinator.next_trial()) is not None:
        epoch, goes_on = 0, True
        while goes_on:
            epoch += 1
            veer_pct = 20.0 / epoch + course.trial
            fields = {"train_s": 1.0, "eval_s": 0.5, "num_params": 9, "distill_share": 0.1}
            goes_on = coordinator.report(course.trial, epoch, veer_pct, fields)


def chained_again(lines: list[bytes]) -> list[bytes]:
    """The lines with checks that fit, so that more than the chain is tried."""
    again, before = [], START
    for line in lines:
        text = split_check(line)[0]
        if text.startswith(b"{") and text.endswith(b"}"):
            line, before = chained(text, before)
        again.append(line)
    return again


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of a search of four trials, with each kind of record that tables read."""
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    params = {"loss.distillation": "mse", "training.lr": 1e-3}
    broken = {"limit": "max_params", "value": 2, "allowed": 1, "text": ""}
    place = {
        "host": "h", "pid": 1, "device": "cpu", "num_threads": 1, "had_s": 1.5,
        "hardware": {"cpu": "a"},
    }  # fmt: skip
    row = dict.fromkeys(ROW_NUMBERS, 1) | {"speed_ratio": None}
    memory = {"resource": "gpu", "share": 0.5, "message": "m"}
    with Journal(path) as journal:
        settings = {
            "success": {"target": 11.0}, "space": "space.yaml", "scheduler": {"kind": "asha"},
            "corpus": CORPUS.model_dump(mode="json"), "engine": {}, "targets": {},
        }  # fmt: skip
        led = {
            "command": "veer search", "python": "3.12.1", "versions": {"torch": "2"},
            "environment": {"MKL_CBWR": "AVX2"}, "packages": ["torch==2"], "code_sha256": "ab",
            "git": {"commit": "ab", "has_changes": False}, "hardware": {"cpu": "a"},
            "cuda": {"num_gpus": 0},
        }  # fmt: skip
        journal.append(SearchStarted(settings=settings, provenance=led))
        lists = {"train": {"file": "a", "sha256": "ab", "num_utterances": 1}}
        journal.append(CorpusRecord(lists=lists, stores={"train": "k1", "val": "k1"}))
        teacher = Path(__file__)  # only its bytes are looked at
        source = {"path": teacher, "sha256": file_sha256(teacher)}
        journal.append(TeacherRecord(veer_pct=7.5, num_params=10, **source))
        searched(journal)
        journal.append(InfeasibleSuggestion(params=params, violations=[broken]))
        journal.append(RepeatedSuggestion(params=params, config_hash="ab", same_as=0))
        for trial in range(4):
            journal.append(TrialPlaced(trial=trial, epoch=0, **place))
        journal.append(InfrastructureFault(kind="out_of_memory", trial=0, epoch=1, **memory))
        rows = [row | {"model": model} for model in ("teacher", "trial 0", "trial 1")]
        journal.append(ModelsBenchmarked(hardware=place["hardware"], rows=rows))
        journal.append(SearchEnded(reason="finished"))
    return path


def refusals_of(content: bytes, folder: Path) -> list[str]:
    """Return the error of each use that refuses the journal; raise those of any other kind."""
    (folder / "journal.jsonl").write_bytes(content)
    (folder / "replayed.jsonl").unlink(missing_ok=True)
    try:
        records = read_journal(folder / "journal.jsonl")
    except VeerError as error:
        return [str(error)]
    found = []
    for use in USES:
        try:
            use(records, folder)
        except VeerError as error:
            found.append(str(error))
    return found


def changed_record(draw: st.DrawFn, line: bytes) -> bytes:
    """A line with another record, or the same where it is no longer one."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return line
    return json.dumps(draw(mutated(record))).encode()


@st.composite
def tampered(draw: st.DrawFn, path: Path) -> bytes:
    """The journal with records changed, moved, repeated or gone, and bytes spoilt."""
    lines = [split_check(line)[0] for line in path.read_bytes().splitlines()]
    for _ in range(draw(st.integers(1, 3))):
        if not lines:
            break
        number = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["change"] * 4 + ["remove", "repeat", "swap", "cut", "spoil"])):
            case "change":
                lines[number] = changed_record(draw, lines[number])
            case "remove":
                del lines[number]
            case "repeat":
                lines.insert(draw(st.integers(0, len(lines))), lines[number])
            case "swap":
                lines[number], lines[0] = lines[0], lines[number]
            case "cut":
                lines[number] = lines[number][: draw(st.integers(0, len(lines[number])))]
            case "spoil":
                lines[number] = draw(st.binary(max_size=30) | st.just(b"[" * 5000))
    if draw(st.integers(0, 9)):
        lines = chained_again(lines)
    return b"\n".join(lines) + draw(st.sampled_from([b"\n", b"", b"\r\n", b"\x00"]))


def test_the_whole_journal_is_used(whole: Path, tmp_path: Path) -> None:
    refusals = refusals_of(whole.read_bytes(), tmp_path)
    assert [each for each in refusals if "no checkpoint any more" not in each] == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tampered")


@pytest.mark.slow
@fuzzed(150)
@given(data=st.data())
def test_a_tampered_journal_is_used_or_refused(
    whole: Path, folder: Path, data: st.DataObject
) -> None:
    content = data.draw(tampered(whole))
    for refusal in refusals_of(content, folder):
        assert refusal.strip()
        assert len(refusal) < 20_000
