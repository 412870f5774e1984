"""What a search with several goals finds, against one with a limit and against chance.

`make bench NAME=goals ARGS='--corpus corpus.yaml --out runs/goals'` trains (see `goals_runs`),
which takes about an hour on two cores; after an interruption, the same command continues.

`make bench NAME=goals ARGS='--bank FOLDER --out runs/goals'`, or with $VEER_BANK, replays. The
students are those of bank B (`tests.benchmarks.minivox_bank`): real Mixer students on real
speech, averaged weights. The goals are VEER and CPU latency: the time of a student's network over
that of the bundled `teacher_half`, measured on this machine, one thread, one utterance of 2 s.
Sampler and early stopping are the product's; training is replayed, one trial at a time.

Every search has the same number of epochs, those of stopped trials included. After each number of
epochs in `PLACES` its front is taken by what it has seen: each trial's lowest VEER on one half of
the validation speakers, and its latency. The front is judged by the true values of the same
epochs, on the other half: its hypervolume up to `REFERENCE_PCT` and the bank's slowest student, as
a share of that of the true front of the whole bank; and the true VEER of what `veer export
--at-latency` would give at the limit, the median latency of the bank.
"""

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models import build_model
from models.catalogue import AnyModelConfig
from results.analysis.nondominated import Point, hypervolume, nondominated
from results.page.charts_page import write_charts_page
from results.page.table import plain_table
from search.estimates.feasibility import LATENCY, NUM_FRAMES
from search.loop.appraisal import Appraisal
from spaces.files.atomic import write_text_atomically
from spaces.limits import Violation
from tests.benchmarks.goals_figures import PLACES, Share, hypervolume_chart, share_of, table
from tests.benchmarks.goals_runs import ARMS as TRAINED_ARMS
from tests.benchmarks.goals_runs import (
    GOALS,
    LIMITED,
    RANDOM,
    SEVERAL,
    TEACHER,
    TrainedPlan,
    prepare,
)
from tests.benchmarks.goals_trained import REFERENCE_PCT, Volumes, trained
from tests.benchmarks.goals_trained_figures import (
    front_chart,
    fronts_table,
    volume_chart,
    volumes_table,
)
from tests.benchmarks.minivox_bank import NUM_SIDES, SPACE, MinivoxBank, MinivoxProblem
from tests.benchmarks.search_play import Played, play, veer_source
from trainable.config.reading import read_trial_config
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.cost.latency import latency_ratio
from trainable.machine.hardware import describe_hardware

# Those that are trained too, and those that are only replayed.
ARMS: Mapping[str, Mapping[str, Any]] = {
    SEVERAL: TRAINED_ARMS[SEVERAL],
    "several goals, none stopped": {"objective": [*GOALS], "scheduler": {"kind": "none"}},
    LIMITED: TRAINED_ARMS[LIMITED],
    "one goal": {},
    RANDOM: TRAINED_ARMS[RANDOM],
    "random, stopped in all goals": {"objective": [*GOALS], "sampler": "random"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """One search to play.

    Attributes:
        bank: The students.
        latency: (N,) CPU latency of each.
        arm: One of `ARMS`.
        side: Which half of the speakers decides; also the seed.
    """

    bank: MinivoxBank
    latency: Sequence[float]
    arm: str
    side: int

    @property
    def limit(self) -> float:
        """The latency that the arm with a limit allows, and that students are exported at."""
        return float(np.median(self.latency))

    def cost(self, config: TrialConfig) -> float:
        """Return the latency of the student that a suggestion would be given."""
        params = SPACE.params_of(config.model_dump(mode="json"))
        number = self.bank.configs.nearest(params)
        return max(self.latency) if number is None else self.latency[number]

    def _check(self, config: TrialConfig) -> list[Violation]:
        cost = self.cost(config)
        if self.arm != LIMITED or cost <= self.limit:
            return []
        return [Violation(limit=LATENCY, value=cost, allowed=self.limit)]

    def _measure(self, config: TrialConfig) -> dict[str, float]:
        return {"cpu_latency": self.cost(config)} if "objective" in ARMS[self.arm] else {}

    def shares(self) -> list[Share]:
        """Play the search, and return what it has found after each of `PLACES` epochs."""
        problem = _Numbered(self.bank, self.side)
        appraisal = Appraisal(check=self._check, measure=self._measure)
        source = veer_source(problem, ARMS[self.arm], self.side, appraisal=appraisal)
        played: list[Played] = []
        for each in play(problem, source):
            played.append(each)
            if len(played) == PLACES[-1]:
                break
        judge = _Judge(self, problem)
        return [judge.share(played[:place]) for place in PLACES]


class _Numbered(MinivoxProblem):
    """Remembers which student each trial was given, in the order of the trials."""

    def __init__(self, bank: MinivoxBank, side: int) -> None:
        super().__init__(bank, side, "ema")
        self.numbers: list[int] = []
        self._configs = bank.configs

    def student(self, params: Any) -> Any:
        number = self._configs.nearest(params)
        if number is not None:
            self.numbers.append(number)
        return super().student(params)


class _Judge:
    def __init__(self, race: Race, problem: _Numbered) -> None:
        self._race, self._problem = race, problem
        slowest = max(race.latency)
        self._reference: Point = (REFERENCE_PCT, slowest * 1.0001)
        students = [problem.nth(number) for number in range(len(race.latency))]
        # The last epoch: what the students of the bank are worth at full length.
        best = [(float(s.true_pct[-1]), c) for s, c in zip(students, race.latency, strict=True)]
        self._whole = hypervolume(best, self._reference)
        self.num_front = len(nondominated(best))

    def share(self, played: Sequence[Played]) -> Share:
        """Return what the front of a search is worth, by its epochs so far."""
        best: dict[int, tuple[float, float]] = {}
        for each in played:
            number = self._problem.numbers[each.trial]
            seen = float(self._problem.nth(number).veer_pct[each.epoch - 1])
            best[each.trial] = min(best.get(each.trial, (np.inf, np.inf)), (seen, each.true_pct))
        cost = {trial: self._race.latency[self._problem.numbers[trial]] for trial in best}
        trials = list(best)
        front = nondominated([(best[trial][0], cost[trial]) for trial in trials])
        true = [(best[trials[place]][1], cost[trials[place]]) for place in front]
        able = [(*best[trial], trial) for trial in trials if cost[trial] <= self._race.limit]
        return Share(
            volume=hypervolume(true, self._reference) / self._whole,
            at_limit_pct=min(able)[1] if able else REFERENCE_PCT,
            num_trials=len(trials),
            num_front=len(front),
        )


def measured_latencies(bank_folder: Path, file: Path) -> list[float]:
    """Return the latency of every student of the bank; measured once, and kept in a file."""
    known: dict[str, float] = json.loads(file.read_text()) if file.is_file() else {}
    teacher = build_model(read_trial_config(TEACHER).model).eval()
    found = []
    for run in sorted(bank_folder.glob("[0-9][0-9][0-9].npz")):
        with np.load(run) as one:
            model = TrialConfig.model_validate(json.loads(str(one["cfg"]))).model
        key = model.model_dump_json()
        if key not in known:
            known[key] = _ratio(model, teacher)
            write_text_atomically(file, json.dumps(known, indent=1))
        found.append(known[key])
    return found


def _ratio(model: AnyModelConfig, teacher: Any) -> float:
    inputs = torch.randn(1, NUM_FRAMES, model.num_mels)
    return latency_ratio((build_model(model).eval(), inputs), (teacher, inputs)).ratio


def _played(
    bank: MinivoxBank, latency: Sequence[float], sides: Sequence[int]
) -> Iterator[tuple[str, list[list[Share]]]]:
    for arm in ARMS:
        found = []
        for side in sides:
            found.append(Race(bank=bank, latency=latency, arm=arm, side=side).shares())
            print(f"{arm}, side {side}: {found[-1][-1]}", flush=True)
        yield arm, found


def replay_bank(bank_folder: Path, out: Path, num_sides: int) -> None:
    """Measure the latencies, play the searches, print the table and write the page."""
    latency = measured_latencies(bank_folder, out / "latency.json")
    bank, sides = MinivoxBank(bank_folder), range(num_sides)
    found = dict(_played(bank, latency, sides))
    print(f"\non {_hardware()}\nlatency of the bank {min(latency):.3f} to {max(latency):.3f}")
    races = (Race(bank=bank, latency=latency, arm=LIMITED, side=side) for side in sides)
    sizes = [_Judge(race, _Numbered(bank, race.side)).num_front for race in races]
    print(f"students on the bank's own front: {np.mean(sizes):.1f} of {len(latency)}")
    lines = table(found, SEVERAL)
    print(*lines.text, sep="\n")
    page = out / "goals.html"
    write_charts_page(
        page,
        "Several goals",
        (f"Searches on {num_sides} halves of the speakers.",),
        (("Hypervolume and VEER at the limit", plain_table(lines.headings, lines.rows)),),
        {"hypervolume": hypervolume_chart({arm: share_of(each) for arm, each in found.items()})},
    )
    print(f"page: {page}")


def train_all(plan: TrainedPlan) -> None:
    """Run the searches that are not finished yet, judge them, print tables, write the page."""
    prepared = prepare(plan)
    found = trained(plan, prepared)
    volumes = Volumes(found, prepared.slowest)
    arms = volumes_table(found, volumes, prepared.limit, plan.total_epochs)
    fronts = fronts_table(found)
    print(f"\non {_hardware()}\nslowest architecture: {prepared.slowest:.3f}\n")
    print(*arms.text, "", *fronts.text, sep="\n")
    page = plan.out / "trained.html"
    write_charts_page(
        page,
        "Several goals, trained",
        (f"{plan.seeds} seeds, {plan.total_epochs} epochs a search.",),
        (
            ("Arms", plain_table(arms.headings, arms.rows)),
            ("Fronts", plain_table(fronts.headings, fronts.rows)),
        ),
        {
            "fronts": front_chart(found),
            "volume": volume_chart(found, volumes, plan.total_epochs),
        },
    )
    print(f"page: {page}")


def _hardware() -> str:
    return ", ".join(f"{name} {value}" for name, value in describe_hardware().items())


def main() -> None:
    """Train, or replay a bank."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    folder = os.environ.get("VEER_BANK")
    parser.add_argument("--bank", type=Path, default=folder, help="a bank to replay")
    parser.add_argument("--corpus", type=Path, help="a corpus.yaml to train on instead")
    parser.add_argument("--out", type=Path, default=Path("runs/goals"), help="page and runs")
    parser.add_argument("--sides", type=int, default=NUM_SIDES, help="replayed searches of an arm")
    parser.add_argument("--seeds", type=int, default=3, help="trained searches of an arm")
    parser.add_argument("--max-epochs", type=int, default=6, help="of a trial that is trained")
    parser.add_argument("--total-epochs", type=int, default=36, help="of a search that trains")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.corpus is not None:
        train_all(
            TrainedPlan(
                corpus=read_corpus_config(given.corpus.resolve()),
                out=given.out.resolve(),
                seeds=given.seeds,
                max_epochs=given.max_epochs,
                total_epochs=given.total_epochs,
            )
        )
    elif given.bank is not None:
        replay_bank(given.bank, given.out, given.sides)
    else:
        parser.error("give --corpus to train, or --bank (or $VEER_BANK) to replay")


if __name__ == "__main__":
    main()
