"""Everything that reads a journal, each as a function of its records and its run folder."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from models import build_model
from results.analysis.ranking import best_ended
from results.analysis.run_view import RunView
from results.analysis.rungs import asha_rungs
from results.compare.compare import compare_runs
from results.compare.view import comparison_view
from results.export.card import CardFacts, model_card
from results.export.export import export_trial
from results.journal.history import latest, trial_histories
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.journal.tail import JournalTail
from results.page.page import render_page
from results.page.report import make_report
from results.records.benchmark_row import benchmark_columns
from results.records.record import Record
from results.records.search_records import ModelsBenchmarked
from results.tables.formats import format_table
from results.tables.trials import epochs_table, trials_table
from results.terminal.cells import benchmark_view
from results.terminal.trial import trial_view
from results.terminal.trials import trials_view
from search.cli.console import Screen
from search.cli.reproduce import pairs_table
from search.cli.watch import frame, take_snapshot
from search.loop.coordinator import Coordinator
from search.loop.early_stopping import SuccessiveHalving
from search.loop.proposals import Proposals
from search.loop.trial_course import Budget
from search.provenance.differences import changes_since_start
from search.review.epoch_comparison import COMPARED, EpochPair
from search.review.recorded_trial import TrialStart, condition_differences, recorded_trial
from search.review.reproduce import Reproduction
from search.suggest.starting_points import starting_trees
from search.suggest.suggestions import Suggestions
from spaces.dimensions import Choice, Float
from spaces.space import Space
from tests.worlds.views import rebuild_study, view_of
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
            repetitions=1,
        ),
        SuccessiveHalving(asha_rungs(1, 3, 4), 3),
        journal,
        budget=Budget(num_trials=4, max_epochs=4),
        clock=lambda: 0.0,
    )


def printed(shown: Any) -> None:
    Screen(width=100, file=io.StringIO()).print(shown)


def tabulated(records: Sequence[Record], _: Path) -> None:
    """Build the tables and texts that the commands print, write and continue from."""
    view = view_of(records)
    for table in (trials_table(view), epochs_table(view)):
        for form in ("csv", "json", "parquet"):
            format_table(table, form)  # type: ignore[arg-type]
    printed(trials_view(view, width=100))
    for trial in view.histories[:2]:
        printed(trial_view(view, trial, 100))


def compared(records: Sequence[Record], run: Path) -> None:
    view = RunView(RunFolder(run), records)
    printed(comparison_view(compare_runs([view, view]), 100))


def watched(records: Sequence[Record], run: Path) -> None:
    """Read and show the journal as `veer trials --watch` does."""
    JournalTail(run / "journal.jsonl").read()
    screen = Screen(width=100, height=30, file=io.StringIO())
    screen.print(frame(take_snapshot(view_of(records)), RunFolder(run), screen, 1e9))


def started_from(_: Sequence[Record], run: Path) -> None:
    starting_trees([f"run:{run}#top2"], run)


def exported(_: Sequence[Record], run: Path) -> None:
    export_trial(RunView.read(run))


def chosen(records: Sequence[Record], _: Path) -> None:
    best_ended(trial_histories(records), 2)


def studied(records: Sequence[Record], _: Path) -> None:
    rebuild_study(records, SPACE.dimensions)


def benchmarked(records: Sequence[Record], _: Path) -> None:
    if (record := latest(records, ModelsBenchmarked)) is not None:
        rows = [row.as_dict() for row in record.rows]
        printed(benchmark_view(rows, benchmark_columns(record.rows), 100))


def paged(_: Sequence[Record], run: Path) -> None:
    render_page(make_report(RunView.read(run)))


MODEL = build_model(CONFIG.model)


def carded(records: Sequence[Record], run: Path) -> None:
    view = RunView(RunFolder(run), records)
    for trial in best_ended(view.histories, 2):
        loaded = LoadedModel(
            file=run / "x.model", config=CONFIG, speakers=(), centres_KD=None, model=MODEL,
            epoch=1, history=(),
        )  # fmt: skip
        config = TrainRunConfig(corpus=CORPUS, trial=CONFIG, teacher=Path("t.model"))
        model_card(
            CardFacts(view=view, trial=trial, loaded=loaded, config=config)
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
    """Read and print as `veer reproduce` does, without the training."""
    view = RunView(RunFolder(run), records)
    for number in range(2):
        trial = recorded_trial(view, number)
        assert 1 <= trial.num_threads <= 1024
        recorded = (record.as_dict() for record in trial.history.in_order)
        pairs = tuple(EpochPair(recorded=each, again=AGAIN) for each in recorded)
        differences = condition_differences(trial, records, NOW, {"train": "k2", "val": "k3"})
        found = Reproduction(
            trial=number, pairs=pairs, differences=tuple(differences), veer_tolerance_pct=3.0
        )
        printed(found.verdict)
        printed(pairs_table(found.pairs))
        changes_since_start(records, NOW.provenance)


def resumed_from(records: Sequence[Record], run: Path) -> None:
    with Journal(run / "replayed.jsonl") as journal:
        coordinator_on(journal).replay(records)


USES: tuple[Callable[[Sequence[Record], Path], None], ...] = (
    tabulated, compared, watched, started_from, exported, chosen, studied, benchmarked, paged,
    carded, reproduced, resumed_from,
)  # fmt: skip
