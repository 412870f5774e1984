"""A journal that was damaged or tampered with: tables, views and a search from it, or an error."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import build_model
from results.analysis.ranking import best_ended
from results.analysis.remarks import run_remarks
from results.analysis.rungs import asha_rungs
from results.compare.compare import compare_runs
from results.compare.view import comparison_view
from results.export.benchmark import BENCHMARK_COLUMNS
from results.export.card import CardFacts, model_card
from results.export.export import export_trial
from results.journal.history import latest, repetitions, trial_histories
from results.journal.journal import Journal, Record, read_journal
from results.journal.run_folder import RunFolder
from results.journal.tail import JournalTail
from results.journal.values import ROW_NUMBERS
from results.page.page import render_page
from results.page.report import make_report
from results.tables.formats import format_table
from results.tables.run_view import RunView
from results.tables.trials import epochs_table, trials_table
from results.terminal.cells import benchmark_view
from results.terminal.sparklines import veer_curves
from results.terminal.trial import trial_view
from results.terminal.trials import trials_view
from results.trackers.study import rebuild_study
from search.cli.console import Screen
from search.cli.reproduce import pairs_table
from search.cli.watch import frame, take_snapshot
from search.loop.coordinator import Coordinator
from search.loop.early_stopping import SuccessiveHalving
from search.loop.proposals import Proposals, no_limits
from search.loop.trial_course import Budget
from search.provenance.differences import changes_since_start
from search.review.epoch_comparison import COMPARED, EpochPair
from search.review.recorded_trial import TrialStart, condition_differences, recorded_trial
from search.review.reproduce import Reproduction
from search.suggest.starting_points import starting_trees
from search.suggest.suggestions import Suggestions
from spaces.dimensions import Choice, Float
from spaces.files.digest import file_sha256
from spaces.files.errors import VeerError
from spaces.space import Space
from tests.fuzz.mutation import fuzzed, mutated
from trainable.checkpoints.loading import LoadedModel
from trainable.config.trial_config import TrainRunConfig, TrialConfig
from trainable.corpus.corpus import CorpusConfig

CONFIG = TrialConfig.model_validate(
    {"model": {"family": "mlp_mixer", "hidden_dim": 8, "num_blocks": 1, "embedding_dim": 16}}
)
CORPUS = CorpusConfig(
    train_dir=Path("d"), train_list=Path("train.txt"), val_dir=Path("d"), val_list=Path("val.txt")
)
SPACE = Space(
    name="s",
    fixed={},
    dimensions=(
        Choice(name="loss.distillation", choices=("mse", "cosine")),
        Float(name="training.lr", low=1e-4, high=1e-2, log=True),
    ),
)


def coordinator_on(journal: Journal) -> Coordinator:
    return Coordinator(
        Proposals(
            Suggestions(SPACE, kind="random", seed=0, passes=1),
            journal,
            make_config=lambda s: TrialConfig.model_validate({"seed": s.seed} | s.tree),
            check=no_limits,
            repetitions=1,
        ),
        SuccessiveHalving(asha_rungs(1, 3, 4), 3),
        journal,
        budget=Budget(num_trials=4, max_epochs=4),
        clock=lambda: 0.0,
    )


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


def without_check(line: bytes) -> bytes:
    """A record without what chains it to the one before, so that more than the chain is tried."""
    record = json.loads(line)
    record.pop("check", None)
    return json.dumps(record).encode()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of a search of four trials, with each kind of record that tables read."""
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    params = {"loss.distillation": "mse", "training.lr": 1e-3}
    broken = {"limit": "max_params", "value": 2, "allowed": 1, "text": ""}
    place = {"host": "h", "pid": 1, "device": "cpu", "num_threads": 1, "hardware": {"cpu": "a"}}
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
        journal.append("search_started", settings=settings, provenance=led)
        lists = {"train": {"file": "a", "sha256": "ab", "num_utterances": 1}}
        journal.append("corpus", lists=lists, stores={"train": "k1", "val": "k1"})
        teacher = Path(__file__)  # only its bytes are looked at
        told = {"path": teacher, "sha256": file_sha256(teacher)}
        journal.append("teacher", veer_pct=7.5, num_params=10, **told)
        searched(journal)
        journal.append("infeasible", params=params, violations=[broken])
        journal.append("repeated", params=params, config_hash="ab", same_as=0)
        for trial in range(4):
            journal.append("placed", trial=trial, epoch=0, **place)
        journal.append("infrastructure", kind="out_of_memory", trial=0, epoch=1, **memory)
        rows = [row | {"model": model} for model in ("teacher", "trial 0", "trial 1")]
        journal.append("benchmark", hardware=place["hardware"], rows=rows)
        journal.append("search_ended", reason="finished")
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"".join(without_check(each) + b"\n" for each in lines))
    return path


def printed(shown: Any) -> None:
    Screen(width=100, file=io.StringIO()).print(shown)


def told(records: Sequence[Record], _: Path) -> None:
    """All that the commands print, write and go on from."""
    histories = trial_histories(records)
    trials, epochs = trials_table(records), epochs_table(records)
    for table in (trials, epochs):
        for form in ("csv", "json", "parquet"):
            format_table(table, form)  # type: ignore[arg-type]
    remarks = run_remarks(records)
    curves, teacher = veer_curves(histories), latest(records, "teacher")
    printed(trials_view(trials, teacher, remarks=remarks, width=100, curves=curves))
    repetitions(records)
    for trial in histories[:2]:
        printed(trial_view(records, trial, 100))


def compared(records: Sequence[Record], run: Path) -> None:
    view = RunView(folder=RunFolder(run), records=tuple(records))
    printed(comparison_view(compare_runs([view, view]), 100))


def watched(records: Sequence[Record], run: Path) -> None:
    """What `veer trials --watch` reads and shows."""
    JournalTail(run / "journal.jsonl").read()
    screen = Screen(width=100, height=30, file=io.StringIO())
    screen.print(frame(take_snapshot(records), RunFolder(run), screen, 1e9))


def started_from(_: Sequence[Record], run: Path) -> None:
    starting_trees([f"run:{run}#top2"], run)


def exported(_: Sequence[Record], run: Path) -> None:
    export_trial(RunFolder(run))


def chosen(records: Sequence[Record], _: Path) -> None:
    best_ended(trial_histories(records), 2)


def studied(records: Sequence[Record], _: Path) -> None:
    rebuild_study(records, SPACE.dimensions)


def benchmarked(records: Sequence[Record], _: Path) -> None:
    if (record := latest(records, "benchmark")) is not None:
        printed(benchmark_view(record["rows"], BENCHMARK_COLUMNS, 100))


def paged(_: Sequence[Record], run: Path) -> None:
    render_page(make_report(RunFolder(run)))


MODEL = build_model(CONFIG.model)


def carded(records: Sequence[Record], run: Path) -> None:
    for trial in best_ended(trial_histories(records), 2):
        loaded = LoadedModel(
            file=run / "x.model", config=CONFIG, speakers=(), centres_KD=None, model=MODEL,
            epoch=1, history=(),
        )  # fmt: skip
        config = TrainRunConfig(corpus=CORPUS, trial=CONFIG, teacher=Path("t.model"))
        model_card(
            CardFacts(run=run, trial=trial, loaded=loaded, config=config, records=records)
        )


NOW = TrialStart(
    placement={"hardware": {"python": "3.12.1", "cpu": "a"}, "device": "cpu", "num_threads": 1},
    provenance={"versions": {"torch": "2"}, "environment": {"MKL_CBWR": "AVX2"}},
)
AGAIN = {
    **dict.fromkeys(COMPARED), "epoch": 1, "veer_pct": 9.0, "loss_total": 2.0, "num_params": 9,
    "loss_stages": [0.1], "stage_shares": [0.2],
}  # fmt: skip


def reproduced(records: Sequence[Record], run: Path) -> None:
    """What `veer reproduce` reads and prints, without the training."""
    for number in range(2):
        trial = recorded_trial(RunFolder(run), number)
        assert 1 <= trial.num_threads <= 1024
        pairs = tuple(EpochPair(recorded=r, again=AGAIN) for r in trial.history.in_order)
        differences = condition_differences(trial, records, NOW, {"train": "k2", "val": "k3"})
        found = Reproduction(
            trial=number, pairs=pairs, differences=tuple(differences), veer_tolerance_pct=3.0
        )
        printed(found.verdict)
        printed(pairs_table(found.pairs))
        changes_since_start(records, NOW.provenance)


def gone_on_from(records: Sequence[Record], run: Path) -> None:
    with Journal(run / "replayed.jsonl") as journal:
        coordinator_on(journal).replay(records)


USES: tuple[Callable[[Sequence[Record], Path], None], ...] = (
    told, compared, watched, started_from, exported, chosen, studied, benchmarked, paged, carded,
    reproduced, gone_on_from,
)  # fmt: skip


def refusals_of(content: bytes, folder: Path) -> list[str]:
    """What each use of a journal says against it; an error of any other kind is raised."""
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


@st.composite
def tampered(draw: st.DrawFn, path: Path) -> bytes:
    """The journal with records changed, moved, repeated or gone, and bytes spoilt."""
    lines = path.read_bytes().splitlines()
    for _ in range(draw(st.integers(1, 3))):
        if not lines:
            break
        number = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["change"] * 4 + ["remove", "repeat", "swap", "cut", "spoil"])):
            case "change":
                try:
                    record = json.loads(lines[number])
                except (ValueError, RecursionError):
                    continue
                changed = draw(mutated(record))
                lines[number] = json.dumps(changed).encode()
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
    return b"\n".join(lines) + draw(st.sampled_from([b"\n", b"", b"\r\n", b"\x00"]))


def test_the_whole_journal_is_used(whole: Path, tmp_path: Path) -> None:
    refusals = refusals_of(whole.read_bytes(), tmp_path)
    assert [each for each in refusals if "no checkpoint any more" not in each] == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tampered")


@fuzzed(150)
@given(data=st.data())
def test_a_tampered_journal_is_used_or_refused(
    whole: Path, folder: Path, data: st.DataObject
) -> None:
    content = data.draw(tampered(whole))
    for refusal in refusals_of(content, folder):
        assert refusal.strip()
        assert len(refusal) < 20_000
