"""Several searches side by side: what they were told, what they spent, what they found."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from results.compare.parts import (
    SEED_KEY,
    BestBehind,
    Row,
    anytime,
    bests_behind,
    config_key,
    differing,
    favoured,
    only_here,
)
from results.figures.importance import MIN_TRIALS, importances
from results.journal.history import TrialHistory, latest
from results.tables.run_view import RunView
from results.tables.schema import PARAM_PREFIX
from results.tables.trials import trials_table
from spaces.files.errors import RunError, VeerError
from spaces.files.yaml_file import read_yaml

SEED = 0
# What a run folder keeps a copy of is compared by content.
NOT_COMPARED = frozenset({"space"})
MOST_ONLY_HERE = 3
# Columns of the trials table that are shown of each run's best.
BEST_COLUMNS = (
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
COSTS = ("duration_s", "num_samples", "core_hours", "gpu_hours")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What one run did and found.

    Attributes:
        name: How it is called beside the others.
        path: Its folder.
        is_running: Whether its journal has no end.
        trials: The search's own trials by state.
        follow_ups: Trials that were run after them.
        epochs: Of its own trials, those of stopped ones counted in.
        costs: By column of the trials table, of all trials; without those that no trial tells.
        teacher: Its VEER in percent, parameters and SHA-256, None without one.
        best: Columns of the best trial's row, None before the first VEER.
        importance: Share of the VEER's variance and its spread by parameter, by fANOVA over the
            complete trials; None where these are too few.
        num_configs: Different configs that it tried.
        num_only_here: Trials with a rank whose config no other run tried.
        only_here: The best of them: trial, veer_pct and its sampled values.
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
    """Several runs, in the order in which they were named.

    Attributes:
        runs: Each by itself.
        warnings: Why figures of different runs cannot be compared, or only with care.
        same: What the runs have in common and could have had otherwise, a sentence each.
        settings: Settings that differ.
        space: Parts of the spaces that differ.
        anytime: Best VEER in percent after so many epochs, stopped trials counted in.
        favoured: How often a value of a categorical parameter is in each run's best quarter.
        best_configs: Keys in which the configs of the best trials differ.
        bests_behind: How far each run's best but the first run's is behind that, on the same
            bootstrap replicates; None where scores on one list were not kept.
        importance_seed: Of the forests.
    """

    runs: tuple[RunFacts, ...]
    warnings: tuple[str, ...]
    same: tuple[str, ...]
    settings: tuple[Row, ...]
    space: tuple[Row, ...]
    anytime: tuple[Row, ...]
    favoured: tuple[Row, ...]
    best_configs: tuple[Row, ...]
    bests_behind: tuple[BestBehind | None, ...]
    importance_seed: int = SEED

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def compare_runs(views: Sequence[RunView]) -> Comparison:
    """Puts runs side by side; their searches may be running.

    Raises:
        RunError: There are fewer than two.
    """
    if len(views) < 2:
        raise RunError(f"a comparison needs at least two runs, got {len(views)}")
    corpora = [latest(view.records, "corpus") or {} for view in views]
    warnings, same = _lists(corpora)
    for part in (_teachers(views), _crops(views)):
        warnings, same = warnings + part[0], same + part[1]
    return Comparison(
        runs=_run_facts(views),
        warnings=tuple(warnings),
        same=tuple(same),
        settings=tuple(differing([view.settings for view in views], NOT_COMPARED)),
        space=tuple(differing([_space(view) for view in views])),
        anytime=tuple(anytime(views)),
        favoured=tuple(favoured(views)),
        best_configs=tuple(differing([_best_config(view) for view in views], [SEED_KEY])),
        bests_behind=bests_behind(views),
    )


def _lists(corpora: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Warnings, and what is the same, of validation and training lists."""
    warnings, same = list[str](), list[str]()
    for role, words in (("val", "validation"), ("train", "training")):
        hashes = [(corpus.get("lists", {}).get(role) or {}).get("sha256") for corpus in corpora]
        if None in hashes:
            unknown = f"whether the runs had the same {words} list is not known: not every journal"
            warnings.append(f"{unknown} has its hash")
        elif len(set(hashes)) == 1:
            same.append(f"the {words} list is the same")
        elif role == "val":
            warnings.append(
                "the validation lists differ: VEERs of one run cannot be compared with another's"
            )
        else:
            warnings.append("the training lists differ: so do what the students learnt from")
    return warnings, same


def _teachers(views: Sequence[RunView]) -> tuple[list[str], list[str]]:
    hashes = {None if view.teacher is None else view.teacher["sha256"] for view in views}
    if len(hashes) > 1:
        return ["the teachers differ"], []
    return [], ["no run had a teacher" if hashes == {None} else "the teacher is the same"]


def _crops(views: Sequence[RunView]) -> tuple[list[str], list[str]]:
    """Of two searches that take other numbers of crops one has the noisier VEER."""
    told = [latest(view.records, "eval_crops") for view in views]
    crops = [None if each is None else each["eval_crops"] for each in told]
    if len(set(crops)) == 1:
        return [], []
    words = ", ".join("as the trial says" if each is None else str(each) for each in crops)
    return [f"validation crops of an utterance differ ({words}): more of them lower a VEER"], []


def _run_facts(views: Sequence[RunView]) -> tuple[RunFacts, ...]:
    names = run_names(views)
    return tuple(
        _facts(view, name, own)
        for view, name, own in zip(views, names, only_here(views), strict=True)
    )


def run_names(views: Sequence[RunView]) -> list[str]:
    """The folders' names, or their paths where two have one name."""
    names = [view.folder.path.absolute().name for view in views]
    if len(set(names)) == len(names):
        return names
    return [str(view.folder.path) for view in views]


def _facts(view: RunView, name: str, only: Sequence[TrialHistory]) -> RunFacts:
    rows = [row for row in trials_table(view.records).to_pylist() if row["trial"] is not None]
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
        else {key: teacher[key] for key in ("veer_pct", "num_params", "sha256")},
        best=None if best is None else {key: best[key] for key in BEST_COLUMNS},
        importance=_importance(view),
        num_configs=len(set(map(config_key, view.own))),
        num_only_here=len(only),
        only_here=[_found(trial) for trial in only[:MOST_ONLY_HERE]],
    )


def _costs(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    costs = {}
    for name in COSTS:
        told = [row[name] for row in rows if row[name] is not None]
        if told:
            costs[name] = sum(told)
    return costs


def _importance(view: RunView) -> dict[str, tuple[float, float]] | None:
    found = importances(view, SEED)
    return {each.name: (each.share, each.spread) for each in found} or None


def _found(trial: TrialHistory) -> dict[str, Any]:
    veer_pct = None if trial.best is None else trial.best["veer_pct"]
    params = {f"{PARAM_PREFIX}{name}": value for name, value in trial.params.items()}
    return {"trial": trial.trial, "veer_pct": veer_pct, **params}


def _space(view: RunView) -> Mapping[str, Any]:
    """The journal's; of an earlier version's run the file's, and nothing where that is no use."""
    started = next((each for each in view.records if each["event"] == "search_started"), {})
    if started.get("space"):
        return dict(started["space"])
    if view.folder.space.is_symlink():  # in somebody else's folder: any file of the reader's
        return {}
    try:
        return read_yaml(view.folder.space).data
    except (VeerError, OSError):
        return {}


def _best_config(view: RunView) -> Mapping[str, Any]:
    return {} if view.best is None else view.best.started["config"]


TOO_FEW = f"fewer than {MIN_TRIALS} complete trials, or than 2 parameters that varied in them"
