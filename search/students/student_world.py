"""One world that the earlier curves allow: what each config would do in it, trial by trial."""

import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import erfcinv

from search.loop.trial_course import TrialCourse
from search.simulation.objective import SimulatedTrial
from search.students.recorded_curve import Floats
from search.students.student_model import StudentModel
from spaces.dimensions import Value

# Chance level, and the lowest figure that is simulated, percent.
CHANCE_PCT, LEAST_PCT = 49.9, 0.01
# Distance in features within which a diverged trial speaks for its neighbours, and the weight of
# one more trial that did not diverge: far from all trials nothing diverges.
NEAR, FAR_WEIGHT = 0.25, 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Student:
    """One trained student of a world.

    Attributes:
        true_pct: (E,) its VEER after each epoch without the noise of the epoch, percent.
        trained: What a search sees of it.
    """

    true_pct: Floats
    trained: SimulatedTrial


class StudentWorld:
    """A world, drawn from what the curves allow; the same seed gives the same world.

    Args:
        model: The model.
        num_epochs: Epochs of a trial at most.
        seed: Seed of the world.

    """

    def __init__(self, model: StudentModel, num_epochs: int, seed: int) -> None:
        self._model, self._num_epochs, self._seed = model, num_epochs, seed
        rng = np.random.default_rng(seed)
        self._parts = [each.draw(rng) for each in model.parts]
        self._time = None if model.times is None else model.times.draw(rng)
        self._students: dict[int, Student] = {}

    def trial(self, course: TrialCourse) -> SimulatedTrial:
        """Return the course of a trial that starts."""
        student = self.student(course.suggestion.params, course.config.seed)
        self._students[course.trial] = student
        return student.trained

    def true_pct(self, trial: int, epoch: int) -> float:
        """Return the true VEER of a trial's student after an epoch, percent."""
        return float(self._students[trial].true_pct[epoch - 1])

    def student(self, params: Mapping[str, Value], seed: int) -> Student:
        """Return the student of a config and a seed."""
        model = self._model
        name = repr(sorted(params.items())).encode()
        rng = np.random.default_rng([self._seed, zlib.crc32(name), seed % 2**32])
        features = model.points.features([params])
        own = [each.noise_sd * rng.normal() for each in model.parts]
        part = np.array([[each(features)[0] for each in self._parts]]) + own
        log_FE = model.fit.log_pct(model.coefficients(part)[0], self._num_epochs)
        epoch_s, epoch = self._epoch_s(features, rng), self._diverges(features, rng)
        seen_FE = _percent(log_FE + self._noise(rng, log_FE.shape))
        veer_pct = seen_FE[0]
        if epoch is not None:
            veer_pct[epoch - 1 :] = math.nan
        trained = SimulatedTrial(
            veer_pct=veer_pct.tolist(),
            dprime=_dprime(seen_FE[1]).tolist() if len(seen_FE) == 2 else (),
            epoch_s=epoch_s,
            setup_s=model.setup_s,
        )
        return Student(true_pct=_percent(log_FE)[0], trained=trained)

    def lowest_true_pct(self, params: Iterable[Mapping[str, Value]]) -> float:
        """Return the lowest true VEER that any of these configs reaches, percent."""
        return min(float(np.min(self.student(each, 0).true_pct)) for each in params)

    def _noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        fit = self._model.fit
        noise = np.linalg.cholesky(fit.noise_FF) @ rng.normal(size=shape)
        fresh = math.sqrt(1 - fit.carried**2)
        for epoch in range(1, shape[1]):
            noise[:, epoch] = fit.carried * noise[:, epoch - 1] + fresh * noise[:, epoch]
        return np.asarray(noise)

    def _epoch_s(self, features: Floats, rng: np.random.Generator) -> float:
        if self._time is None or self._model.times is None:
            return 1.0
        log_s = self._time(features)[0] + self._model.times.noise_sd * rng.normal()
        return float(np.exp(log_s))

    def _diverges(self, features: Floats, rng: np.random.Generator) -> int | None:
        """Return the epoch at which a student diverges, as those near it did; None for none."""
        points, epochs = self._model.diverged
        even = rng.random()
        if not len(epochs):
            return None
        near = [
            np.exp(-((each - features) ** 2).sum(axis=1) / (2 * NEAR**2))
            for each in (points, self._model.known_ND)
        ]
        share = near[0].sum() / (near[0].sum() + near[1].sum() + FAR_WEIGHT)
        at = epochs[int(np.argmax(near[0]))]
        return at if even < share and at <= self._num_epochs else None


def _percent(log_pct: Floats) -> Floats:
    return np.exp(np.clip(log_pct, math.log(LEAST_PCT), math.log(CHANCE_PCT)))


def _dprime(eer_pct: Floats) -> Floats:
    """Return the d' of an EER: the inverse of `results.journal.decision.eer_of_dprime`."""
    return np.asarray(math.sqrt(8) * erfcinv(eer_pct / 50))
