"""Comparison of several searches: their settings, their costs and their results."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from results.analysis.run_view import RunView
from results.compare.parts import (
    SEED_KEY,
    BestBehind,
    ComparisonRow,
    anytime_rows,
    bests_behind,
    config_key,
    differing_rows,
    favoured_rows,
    trials_of_one_run,
)
from results.figures.importance import MIN_TRIALS, importances
from results.journal.history import TrialHistory
from results.records.search_records import CorpusRecord, EvalCropsChosen, SearchStarted
from results.tables.schema import PARAM_PREFIX
from results.tables.trials import trials_table
from spaces.files.errors import RunError

# Seed of the fANOVA forests; the charts of a run use the same.
IMPORTANCE_SEED = 0
WHY_NO_IMPORTANCE = (
    f"fewer than {MIN_TRIALS} complete trials, or fewer than 2 parameters that varied in them"
)
# The setting is only the path of the space. Its content is compared by itself.
_SETTINGS_NOT_COMPARED = frozenset({"space"})
_MAX_TRIALS_OF_ONE_RUN = 3
# Columns of the trials table that are shown for the best trial of each run.
_BEST_COLUMNS = (
    "trial",
    "veer_pct",
    "veer_low_pct",
    "veer_high_pct",
    "median_veer_pct",
    "last_veer_pct",
    "num_repeats",
    "repeat_mean_pct",
    "repeat_sd_pct",
    "epochs",
    "num_params",
    "speed_ratio",
)
_COST_COLUMNS = ("duration_s", "num_samples", "core_hours", "gpu_hours")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Costs and results of one run.

    Attributes:
        name: Name of the run in the comparison.
        path: The run folder.
        is_running: Whether the journal has no end of the search: it runs, or was killed.
        trials: Numbers of the search's own trials, by state.
        follow_ups: Number of follow-up trials.
        epochs: Number of epochs of the search's own trials, including stopped ones.
        costs: Sums over all trials by column of the trials table; only columns with a value.
        teacher: The teacher's VEER in percent, parameters and SHA-256; None without a teacher.
        best: Columns of the best trial's row; None before the first VEER.
        importance: By parameter, its share of the variance of the VEER and the spread of that
            share, by fANOVA over the complete trials; None where these are too few.
        num_configs: Number of different configs.
        num_only_here: Number of ranked trials whose config no other run tried.
        only_here: The best of those trials: `trial`, `veer_pct` and the sampled values.
    """

    name: str
    path: str
    is_running: bool
    trials: dict[str, int]
    follow_ups: int
    epochs: int
    costs: dict[str, float]
    teacher: dict[str, Any] | None
    best: dict[str, Any] | None
    importance: dict[str, tuple[float, float]] | None
    num_configs: int
    num_only_here: int
    only_here: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A comparison of several runs, in the order in which they were given.

    The field names are the keys of `veer compare --json`.

    Attributes:
        runs: Costs and results of each run.
        warnings: Reasons why numbers of different runs cannot be compared, or only with care.
        same: Sentences that state what all runs have in common.
        settings: Settings that differ.
        space: Parts of the spaces that differ.
        anytime: Best VEER in percent by number of epochs, including epochs of stopped trials.
        favoured: How often each value of a categorical parameter is in a run's best quarter.
        best_configs: Keys with different values in the configs of the best trials.
        bests_behind: Difference to the first run's best for each other run, on the same bootstrap
            replicates; None where scores on the same list were not kept.
        importance_seed: Seed of the fANOVA forests.
    """

    runs: tuple[RunFacts, ...]
    warnings: tuple[str, ...]
    same: tuple[str, ...]
    settings: tuple[ComparisonRow, ...]
    space: tuple[ComparisonRow, ...]
    anytime: tuple[ComparisonRow, ...]
    favoured: tuple[ComparisonRow, ...]
    best_configs: tuple[ComparisonRow, ...]
    bests_behind: tuple[BestBehind | None, ...]
    importance_seed: int = IMPORTANCE_SEED

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data, for JSON."""
        return asdict(self)


def compare_runs(views: Sequence[RunView]) -> Comparison:
    """Compare runs; their searches may be running.

    Raises:
        RunError: There are fewer than two runs.
    """
    if len(views) < 2:
        raise RunError(f"a comparison needs at least two runs, got {len(views)}")
    warnings, same = _lists(views)
    for part in (_teachers(views), _crops(views)):
        warnings, same = warnings + part[0], same + part[1]
    return Comparison(
        runs=_run_facts(views),
        warnings=tuple(warnings),
        same=tuple(same),
        settings=tuple(differing_rows([view.settings for view in views], _SETTINGS_NOT_COMPARED)),
        space=tuple(differing_rows([_space(view) for view in views])),
        anytime=tuple(anytime_rows(views)),
        favoured=tuple(favoured_rows(views)),
        best_configs=tuple(differing_rows([_best_config(view) for view in views], [SEED_KEY])),
        bests_behind=bests_behind(views),
    )


def _lists(views: Sequence[RunView]) -> tuple[list[str], list[str]]:
    """Return warnings about the validation and training lists, and what is the same."""
    corpora = [view.latest(CorpusRecord) for view in views]
    warnings, same = list[str](), list[str]()
    for role, words in (("val", "validation"), ("train", "training")):
        lists = [None if corpus is None else corpus.lists.get(role) for corpus in corpora]
        hashes = [None if each is None else each.sha256 for each in lists]
        if None in hashes:
            warnings.append(
                f"it is unknown whether the {words} lists are the same: not every journal has the "
                "hash of its list"
            )
        elif len(set(hashes)) == 1:
            same.append(f"the {words} list is the same")
        # Training lists may differ on purpose, but EERs need the same trial pairs.
        elif role == "val":
            warnings.append(
                "the validation lists differ, so VEERs of different runs cannot be compared"
            )
        else:
            warnings.append("the training lists differ, so the training data do too")
    return warnings, same


def _teachers(views: Sequence[RunView]) -> tuple[list[str], list[str]]:
    hashes = {None if view.teacher is None else view.teacher.sha256 for view in views}
    if len(hashes) > 1:
        return ["the teachers differ"], []
    return [], ["no run had a teacher" if hashes == {None} else "the teacher is the same"]


def _crops(views: Sequence[RunView]) -> tuple[list[str], list[str]]:
    """Return a warning where the numbers of validation crops differ."""
    records = [view.latest(EvalCropsChosen) for view in views]
    crops = [None if each is None else each.eval_crops for each in records]
    if len(set(crops)) == 1:
        return [], []
    words = ", ".join("that of the trial" if each is None else str(each) for each in crops)
    return [
        f"the numbers of validation crops per utterance differ ({words}): more crops give a lower "
        "VEER"
    ], []


def _run_facts(views: Sequence[RunView]) -> tuple[RunFacts, ...]:
    names = run_names(views)
    return tuple(
        _facts_of_run(view, name, unshared)
        for view, name, unshared in zip(views, names, trials_of_one_run(views), strict=True)
    )


def run_names(views: Sequence[RunView]) -> list[str]:
    """Return the names of the run folders, or their paths where two names are equal."""
    names = [view.folder.path.absolute().name for view in views]
    if len(set(names)) == len(names):
        return names
    return [str(view.folder.path) for view in views]


def _facts_of_run(view: RunView, name: str, unshared: Sequence[TrialHistory]) -> RunFacts:
    rows = [row for row in trials_table(view).to_pylist() if row["trial"] is not None]
    best = next((row for row in rows if view.best and row["trial"] == view.best.trial), None)
    states = [trial.state for trial in view.own]
    teacher = view.teacher
    return RunFacts(
        name=name,
        path=str(view.folder.path),
        is_running=view.is_running,
        trials={state: states.count(state) for state in dict.fromkeys(states)},
        follow_ups=sum(trial.follow_up is not None for trial in view.histories),
        epochs=sum(len(trial.epochs) for trial in view.own),
        costs=_costs(rows),
        teacher=None
        if teacher is None
        else {key: getattr(teacher, key) for key in ("veer_pct", "num_params", "sha256")},
        best=None if best is None else {key: best[key] for key in _BEST_COLUMNS},
        importance=_importance(view),
        num_configs=len(set(map(config_key, view.own))),
        num_only_here=len(unshared),
        only_here=[_trial_facts(trial) for trial in unshared[:_MAX_TRIALS_OF_ONE_RUN]],
    )


def _costs(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    costs = {}
    for name in _COST_COLUMNS:
        known = [row[name] for row in rows if row[name] is not None]
        if known:
            costs[name] = sum(known)
    return costs


def _importance(view: RunView) -> dict[str, tuple[float, float]] | None:
    found = importances(view, IMPORTANCE_SEED)
    return {each.name: (each.share, each.spread) for each in found} or None


def _trial_facts(trial: TrialHistory) -> dict[str, Any]:
    params = {f"{PARAM_PREFIX}{name}": value for name, value in trial.params.items()}
    return {"trial": trial.trial, "veer_pct": trial.best_veer_pct, **params}


def _space(view: RunView) -> Mapping[str, Any]:
    started = next(iter(view.all_of(SearchStarted)), None)
    return {} if started is None else started.space or {}


def _best_config(view: RunView) -> Mapping[str, Any]:
    return {} if view.best is None else view.best.started.config
