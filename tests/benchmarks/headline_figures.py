"""The EER of the students that each arm chose, on the list that chose them and on the other list.

Shapes: P trial pairs, R bootstrap replicates, N seeds.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.special import stdtrit

from models import SpeakerModel
from results.analysis.ranking import ranked
from results.export.best_model import load_best
from results.journal.history import trial_histories
from results.journal.run_folder import RunFolder
from tests.benchmarks.headline_runs import SEARCH
from trainable.checkpoints.loading import load_speaker_model
from trainable.corpus.corpus import CorpusConfig
from trainable.features.training_data import TrainingData, load_training_data
from trainable.machine.cache_dir import cache_dir
from trainable.teachers.any_teacher import is_stored
from trainable.teachers.stored import stored_scores
from trainable.verification.bootstrap import SpeakerBootstrap
from trainable.verification.crops import FINAL_CROPS
from trainable.verification.evaluation import validation_scores
from trainable.verification.intervals import LEVEL, EERDifference, Interval, eer_difference
from trainable.verification.metrics import Floats, equal_error_rate
from trainable.verification.score_evaluator import validation_pairs

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OneList:
    """A trial list, and the speaker replicates on which all students are compared."""

    data: TrainingData
    bootstrap: SpeakerBootstrap

    @classmethod
    def read(cls, corpus: CorpusConfig) -> "OneList":
        """Read the validation list of a corpus."""
        data = load_training_data(corpus, cache_dir=cache_dir())
        return cls(data=data, bootstrap=SpeakerBootstrap(validation_pairs(data)))

    @property
    def num_pairs(self) -> int:
        """Trial pairs of the list."""
        return len(self.data.val_a)

    @property
    def num_speakers(self) -> int:
        """Speakers of the list."""
        return self.bootstrap.pairs.num_speakers

    def judge(self, model: SpeakerModel) -> "Judged":
        """Score a model on this list: the cosine of mean embeddings over 10 crops."""
        return self._judged(validation_scores(model, self.data, num_crops=FINAL_CROPS, device=CPU))

    def judge_teacher(self, teacher: Path) -> "Judged":
        """Score a trained model, or a file of embeddings on the crops that it has."""
        if not is_stored(teacher):
            return self.judge(load_speaker_model(teacher).model)
        scores = stored_scores(teacher, self.data)
        assert scores is not None, f"{teacher} must have every utterance of the trial lists"
        return self._judged(scores)

    def _judged(self, scores: Floats) -> "Judged":
        return Judged(
            eer_pct=equal_error_rate(scores, self.data.val_is_target),
            replicates_pct=self.bootstrap.eer_pct(scores),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """The EER of a model on one list, percent, and (R,) that of each replicate."""

    eer_pct: float
    replicates_pct: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The student that one search chose.

    Attributes:
        trial: Its number.
        num_trials: Trials of the search.
        epochs: Epochs of the search.
        num_params: Parameters of the student.
        veer_pct: VEER in the search, over 2 crops, of its best epoch: so too low.
        judged: EERs by the name of the list.
    """

    trial: int
    num_trials: int
    epochs: int
    num_params: int
    veer_pct: float
    judged: Mapping[str, Judged]


def both_lists(corpus: CorpusConfig) -> dict[str, OneList]:
    """Return the two halves by name."""
    assert corpus.test_list is not None
    files = {"validation": corpus.val_list, "test": corpus.test_list}
    return {
        name: OneList.read(
            corpus.model_copy(update={"val_list": file, "test_list": None, "test_dir": None})
        )
        for name, file in files.items()
    }


def choose(run: Path, lists: Mapping[str, OneList]) -> Chosen:
    """Take the best student by the search's own ranking, and score it on both lists."""
    folder = RunFolder(run)
    trials = trial_histories(folder.read())
    best = ranked(trials)[0]
    assert best.best is not None
    model = load_best(folder, best).model
    return Chosen(
        trial=best.trial,
        num_trials=len(trials),
        epochs=sum(len(each.epochs) for each in trials),
        num_params=best.best.num_params,
        veer_pct=best.best.veer_pct,
        judged={name: each.judge(model) for name, each in lists.items()},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """How far the EERs of an arm are above those of another on one list, in points.

    Attributes:
        by_seed: Difference for each seed, both students on the same replicates.
        mean: Difference of the means over seeds; its interval is over speakers, with these seeds.
        over_seeds: The 95 % interval of the mean over other seeds, with these speakers: Student's
            t for the differences by seed.
    """

    by_seed: tuple[EERDifference, ...]
    mean: EERDifference
    over_seeds: Interval


def against(arm: Sequence[Judged], base: Sequence[Judged], num_speakers: int) -> Against:
    """Compare two arms on one list, seed by seed.

    Args:
        arm: Students of the arm, one per seed, at least two.
        base: Students of the other, with the same seeds.
        num_speakers: Speakers of the list.
    """
    by_seed = tuple(
        _difference(one, other, num_speakers) for one, other in zip(arm, base, strict=True)
    )
    mean = _difference(_mean(arm), _mean(base), num_speakers)
    behind = np.array([each.behind_pct for each in by_seed])
    half = float(stdtrit(behind.size - 1, (1 + LEVEL) / 2) * behind.std(ddof=1))
    half /= math.sqrt(behind.size)
    middle = float(behind.mean())
    over_seeds = Interval(low_pct=middle - half, high_pct=middle + half)
    return Against(by_seed=by_seed, mean=mean, over_seeds=over_seeds)


def table(found: Mapping[str, Sequence[Chosen]], name: str, teacher: Judged) -> list[str]:
    """Return the EER of each arm on one list, percent, by seed and as a mean, as Markdown."""
    num_seeds = len(found[SEARCH])
    seeds = [f"seed {seed}" for seed in range(num_seeds)]
    lines = markdown_head(["", *seeds, "mean"])
    for arm, chosen in found.items():
        figures = [each.judged[name].eer_pct for each in chosen]
        lines.append(_line(arm, [*figures, float(np.mean(figures))], "{:.2f}"))
    return [*lines, _line("teacher", [teacher.eer_pct] * (num_seeds + 1), "{:.2f}")]


def differences_table(
    found: Mapping[str, Sequence[Chosen]], lists: Mapping[str, OneList]
) -> list[str]:
    """Return each other arm minus the search, as Markdown; above 0 the search is better."""
    head = ["", "list", "mean", "95 % over speakers", "95 % over seeds", "by seed"]
    lines = markdown_head(head)
    for name, one in lists.items():
        for arm, chosen in found.items():
            if arm == SEARCH:
                continue
            judged = [each.judged[name] for each in chosen]
            search = [each.judged[name] for each in found[SEARCH]]
            above = against(judged, search, one.num_speakers)
            seeds = "; ".join(
                f"{each.behind_pct:+.2f} ({signed(each.interval)})" for each in above.by_seed
            )
            cells = [arm, name, f"{above.mean.behind_pct:+.2f}", signed(above.mean.interval)]
            lines.append(f"| {' | '.join([*cells, signed(above.over_seeds), seeds])} |")
    return lines


def found_table(found: Mapping[str, Sequence[Chosen]]) -> list[str]:
    """Return the size and the choice of each search, as Markdown."""
    columns: dict[str, Callable[[Chosen], object]] = {
        "trials": lambda each: each.num_trials,
        "epochs": lambda each: each.epochs,
        "chosen": lambda each: each.trial,
        "parameters": lambda each: f"{each.num_params:,}",
        "VEER % in the search": lambda each: f"{each.veer_pct:.2f}",
    }
    lines = markdown_head(["", "seed", *columns])
    for arm, chosen in found.items():
        for seed, each in enumerate(chosen):
            cells = [str(value_of(each)) for value_of in columns.values()]
            lines.append(f"| {' | '.join([arm, str(seed), *cells])} |")
    return lines


def _difference(one: Judged, other: Judged, num_speakers: int) -> EERDifference:
    return eer_difference(
        (one.eer_pct, other.eer_pct), (one.replicates_pct, other.replicates_pct), num_speakers
    )


def _mean(judged: Sequence[Judged]) -> Judged:
    """Return the mean over seeds, for the list and for each replicate of its speakers."""
    return Judged(
        eer_pct=float(np.mean([one.eer_pct for one in judged])),
        replicates_pct=np.mean([one.replicates_pct for one in judged], axis=0),
    )


def signed(interval: Interval | None) -> str:
    return "none" if interval is None else f"{interval.low_pct:+.2f} to {interval.high_pct:+.2f}"


def markdown_head(names: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]


def _line(name: str, figures: Sequence[float], form: str) -> str:
    return f"| {' | '.join([name, *(form.format(figure) for figure in figures)])} |"
