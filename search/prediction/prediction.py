"""The answer to a user's question: every variant, played in the same worlds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from results.analysis.run_view import RunView
from search.config.reading import read_search_config
from search.guided.prior import Prior
from search.guided.unit_space import UnitSpace
from search.loop.setup import start_points
from search.prediction.estimates import VariantResult, variant_result
from search.prediction.played_search import PlayedSearch, play_search
from search.prediction.scaling import Race
from search.prediction.variants import Question, Variant, make_variants
from search.students.recorded_curve import RecordedCurve, recorded_curves
from search.students.student_model import ModelQuality, StudentModel
from search.students.student_world import StudentWorld
from search.suggest.earlier_runs import earlier_trials
from spaces.conditions import Params
from spaces.files.errors import RunError
from spaces.space import Space
from trainable.config.reading import read_trial_space

# Random configs of a world, of which the best is what a search may miss.
NUM_RANDOM = 256

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The answer.

    Attributes:
        quality: From what the model was made, and how good it is.
        results: Each variant, the given settings first.
        seeds: Seeds of the worlds and their searches.
        within_pct: Points by which a student may be worse than the best of its world.
        best_pct: The best true VEER of each world, percent.
        remarks: What the simulation leaves out.
        total_epochs: The limit of epochs that ended every search of the given settings; None if
            it did not.
    """

    quality: ModelQuality
    results: tuple[VariantResult, ...]
    seeds: tuple[int, ...]
    within_pct: float
    best_pct: tuple[float, ...]
    remarks: tuple[str, ...]
    total_epochs: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is played.

    Attributes:
        model: The students.
        space: The space.
        variants: The given settings first.
        prior: What the searches know before their first trial.
    """

    model: StudentModel
    space: Space
    variants: tuple[Variant, ...]
    prior: Prior

    @property
    def max_epochs(self) -> int:
        """Epochs of a trial at most, in any variant."""
        return max(each.settings.max_epochs for each in self.variants)

    def world(self, seed: int) -> StudentWorld:
        """Return a world, the same for all variants, that no search has used."""
        return StudentWorld(self.model, self.max_epochs, seed)


def prepare(views: Sequence[RunView], question: Question) -> Setup:
    """Fit the students to the runs, and read the settings.

    Raises:
        RunError: The runs have too few curves, or different validation lists.
        ConfigError: A setting is invalid.
    """
    settings = read_search_config(question.source, question.given)
    space = read_trial_space(settings.space)
    curves = recorded_curves(views, space)
    model = StudentModel(_require_some(curves), space)
    space, variants = make_variants(question, model.longest)
    points = start_points(space, settings.space, ())
    prior = Prior(
        first=[each.params for each in points if each.params is not None],
        earlier=earlier_trials(settings.learn_from, space, ()),
    )
    return Setup(model=model, space=space, variants=tuple(variants), prior=prior)


def predict(
    setup: Setup, seeds: Sequence[int], within_pct: float, progress: Progress
) -> Prediction:
    """Play every variant in the world of every seed.

    Args:
        setup: What is played.
        seeds: A seed for each world, which its searches have too.
        within_pct: Points by which a student may be worse than the best of its world.
        progress: Called with (done, total) after each search.
    """
    total, done = len(seeds) * len(setup.variants), 0
    played: list[list[PlayedSearch]] = [[] for _ in setup.variants]
    best_pct = []
    for seed in seeds:
        configs = random_configs(setup.space, seed)
        best_pct.append(
            StudentWorld(
                setup.model, setup.variants[0].settings.max_epochs, seed
            ).lowest_true_pct(configs)
        )
        for variant, found in zip(setup.variants, played, strict=True):
            found.append(
                play_search(
                    variant.settings.model_copy(update={"seed": seed}),
                    setup.space,
                    setup.world(seed),
                    num_workers=variant.num_workers,
                    prior=setup.prior,
                )
            )
            done += 1
            progress(done, total)
    results = [
        variant_result(variant, found, played[0], best_pct, within_pct)
        for variant, found in zip(setup.variants, played, strict=True)
    ]
    limit = setup.variants[0].settings.total_epochs
    is_limited = limit is not None and all(each.epochs >= limit for each in played[0])
    return Prediction(
        quality=setup.model.quality(),
        results=tuple(results),
        seeds=tuple(seeds),
        within_pct=within_pct,
        best_pct=tuple(best_pct),
        remarks=tuple(_remarks(setup)),
        total_epochs=limit if is_limited else None,
    )


def races_of(setup: Setup, found: Prediction) -> list[Race]:
    """Return the races to a good VEER: the median over the worlds of the best of 256 configs."""
    until_pct = float(np.median(found.best_pct))
    return [
        Race(
            seed=seed,
            space=setup.space,
            world=partial(setup.world, seed),
            until_pct=until_pct,
        )
        for seed in found.seeds
    ]


def random_configs(space: Space, seed: int) -> list[Params]:
    """Return configs drawn evenly from the space."""
    rng, unit = np.random.default_rng(seed), UnitSpace(space)

    def coordinate(place: int) -> float:
        choices = int(unit.num_choices[place])
        return float(rng.integers(choices)) if choices else float(rng.random())

    return [unit.params(coordinate) for _ in range(NUM_RANDOM)]


def _require_some(curves: Sequence[RecordedCurve]) -> Sequence[RecordedCurve]:
    if not curves:
        raise RunError("no ended trial of these runs fits the space; give runs of this space")
    return curves


def _remarks(setup: Setup) -> list[str]:
    first, found = setup.variants[0].settings, []
    longest = setup.model.longest
    if setup.max_epochs > longest:
        found.append(f"epochs after {longest} are continued from the curves' shapes")
    if setup.space.limits.names:
        found.append("the limits of the space are not checked: all its configs may be drawn")
    if setup.model.times is None:
        found.append("no times are known: an epoch counts as a second")
    if first.resources.gpu == "auto":
        found.append("GPU-hours are not known: resources.gpu is auto")
    return found
