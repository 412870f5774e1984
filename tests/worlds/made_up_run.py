"""Made-up journals of searches of any size, for charts and pages."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from results.analysis.run_view import RunView
from results.analysis.trial_scores import PAIRS_SCHEMA, pairs_file, teacher_scores_file
from results.journal.history import TrialHistory, trial_histories
from results.journal.run_folder import RunFolder
from results.records.record import Record, TrialRecord
from results.records.records import EVENTS
from results.records.trial_records import EpochEnded, TrialPlaced
from tests.worlds.journals import write_journal
from trainable.verification.scores import SCORES_FILE, MeasuredScores, write_scores

SPACE = """\
loss:
  distillation: {choices: [none, mse, cosine]}
  alpha: {low: 0.1, high: 0.9}
model:
  family: mlp_mixer
  hidden_dim: {low: 8, high: 64}
  num_blocks: {choices: [2, 4, 6]}
training:
  lr: {low: 0.0001, high: 0.01, log: true}
"""
MAX_EPOCHS = 27
RUNGS = (3, 9)
SETTINGS: dict[str, Any] = {
    "space": "space.yaml",
    "sampler": "tpe",
    "num_trials": 30,
    "max_epochs": MAX_EPOCHS,
    "finalists": 3,
    "scheduler": {"kind": "asha", "grace_epochs": 3, "reduction_factor": 3.0},
    "success": {"baseline": 14.0, "target": 10.0},
}
START_S = 1_750_000_000.0
EPOCH_S = 10.0
HARDWARE: dict[str, Any] = {"cpu": "a CPU", "num_cores": 2, "python": "3.11"}
WORKERS = (("node-a", 101), ("node-a", 102), ("node-b", 201))
TEACHER_PCT = 9.5
TEACHER_PARAMS = 3_890_672


def write_made_up_run(folder: Path, num_trials: int = 30, seed: int = 0) -> RunFolder:
    """Write the journal and space of a run that is paused once, and ends.

    Trial 0 is complete; of the others about two thirds are stopped at a rung. Every tenth from 3
    on diverges, every tenth from 4 on loses its process once; the last one fails at once.
    """
    folder.mkdir(parents=True)
    records = list(made_up_records(num_trials, seed))
    write_journal(folder / "journal.jsonl", records)
    (folder / "space.yaml").write_text(SPACE)
    return RunFolder(folder)


@dataclass(frozen=True)
class MadeUpScores:
    """Scores of pairs of one speaker, which are higher, and of two speakers."""

    scores: NDArray[np.float32]
    is_target: NDArray[np.bool_]


def made_up_scores(seed: int, num_pairs: int = 2000, apart: float = 2.6) -> MadeUpScores:
    """Return normal scores; those of targets are `apart` standard deviations higher."""
    rng = np.random.default_rng(seed)
    is_target = rng.random(num_pairs) < 0.5
    scores = rng.normal(size=num_pairs) + apart * is_target
    return MadeUpScores((0.1 * scores).astype(np.float32), is_target)


class ScoredView(RunView):
    """A run whose trials and teacher have made-up scores."""

    def scores(self, trial: TrialHistory) -> MadeUpScores:
        return made_up_scores(trial.trial)

    @property
    def teacher_scores(self) -> MadeUpScores:
        return made_up_scores(9999, apart=2.9)


def made_up_records(num_trials: int, seed: int) -> Iterator[Record]:
    """Return the records of the journal in the order of time."""
    rng = np.random.default_rng(seed)
    yield _record("search_started", START_S, settings=SETTINGS, provenance={"command": "veer"})
    yield _record(
        "teacher", START_S + 1, path="/models/teacher.model", veer_pct=TEACHER_PCT,
        num_params=TEACHER_PARAMS, sha256="ab",
    )  # fmt: skip
    free_s = [START_S + 2.0] * len(WORKERS)
    made: list[TrialRecord] = []
    for trial in range(num_trials):
        worker = int(np.argmin(free_s))
        own = list(_trial_records(rng, trial, free_s[worker], WORKERS[worker], num_trials))
        free_s[worker] = own[-1].time_s + 1.0
        made += own
    made.sort(key=lambda record: record.time_s)
    # Starts are in the order of their numbers also where times are equal.
    middle = len(made) // 2
    pause_s = 3600.0
    yield from made[:middle]
    paused = _record("search_ended", made[middle - 1].time_s, reason="interrupted")
    yield paused
    yield _record("search_resumed", paused.time_s + pause_s, settings=SETTINGS)
    rest = [
        record.model_copy(update={"time_s": record.time_s + pause_s}) for record in made[middle:]
    ]
    yield from _placed_again(made[:middle], rest)
    last_s = made[-1].time_s + pause_s
    yield _record("search_ended", last_s + 1, reason="finished")
    yield _record("benchmark", last_s + 60, hardware=HARDWARE, rows=list(_rows(made)))


def _placed_again(before: list[TrialRecord], rest: list[TrialRecord]) -> Iterator[Record]:
    """Return the records after a pause, with new placements of the trials that continue."""
    places = {each.trial: each for each in before if isinstance(each, TrialPlaced)}
    for record in rest:
        place = places.pop(record.trial, None)
        if isinstance(record, EpochEnded) and place is not None:
            yield place.model_copy(update={"time_s": record.time_s, "epoch": record.epoch - 1})
        yield record


def _trial_records(
    rng: np.random.Generator, trial: int, begin_s: float, worker: tuple[str, int], num_trials: int
) -> Iterator[Any]:
    params = _params(rng)
    own = {"trial": trial}
    yield _record(
        "trial_started", begin_s, **own, params=params, config=_config(params),
        config_hash=f"{trial:012x}", seed=trial,
    )  # fmt: skip
    state, num_epochs = _fate(rng, trial, num_trials)
    time_s = begin_s + 5.0
    end_pct = 8 + 6 * abs(np.log10(params["training.lr"]) + 3) + rng.normal(0, 0.5)
    for epoch in range(1, num_epochs + 1):
        if epoch == 1:
            yield _placed(time_s + EPOCH_S, trial, 0, worker)
        if epoch == 2 and trial % 10 == 4:
            yield _record(
                "infrastructure", time_s + 1, **own, kind="worker_lost", epoch=1, message="gone"
            )
            time_s += 8.0
            yield _placed(time_s + EPOCH_S, trial, 1, (worker[0], worker[1] + 1000))
        time_s += EPOCH_S
        veer_pct = end_pct + 25 * np.exp(-epoch / 5) + rng.normal(0, 0.2)
        yield _epoch(time_s, trial, epoch, float(veer_pct), params)
    reason = {"stopped_early": f"rung {num_epochs}", "failed": "no space", "diverged": "nan"}
    yield _record(
        "trial_ended", time_s + 0.1, **own, state=state, reason=reason.get(state)
    )


def _fate(rng: np.random.Generator, trial: int, num_trials: int) -> tuple[str, int]:
    if trial == num_trials - 1 and trial:
        return "failed", 0
    if trial % 10 == 3:
        return "diverged", 2
    if trial and rng.random() < 2 / 3:
        return "stopped_early", int(rng.choice(RUNGS))
    return "complete", MAX_EPOCHS


def _params(rng: np.random.Generator) -> dict[str, Any]:
    distillation = str(rng.choice(["none", "mse", "cosine"]))
    params: dict[str, Any] = {"loss.distillation": distillation}
    if distillation != "none":
        params["loss.alpha"] = float(rng.uniform(0.1, 0.9))
    return params | {
        "model.hidden_dim": int(rng.integers(8, 65)),
        "model.num_blocks": int(rng.choice([2, 4, 6])),
        "training.lr": float(10 ** rng.uniform(-4, -2)),
    }


def _config(params: dict[str, Any]) -> dict[str, Any]:
    loss = {k.removeprefix("loss."): v for k, v in params.items() if k.startswith("loss.")}
    model = {k.removeprefix("model."): v for k, v in params.items() if k.startswith("model.")}
    return {
        "loss": loss,
        "model": {"family": "mlp_mixer", **model},
        "training": {"lr": params["training.lr"], "max_epochs": MAX_EPOCHS},
    }


def _epoch(time_s: float, trial: int, epoch: int, veer_pct: float, params: dict[str, Any]) -> Any:
    is_taught = params["loss.distillation"] != "none"
    distill = 0.05 * epoch / (1 + 0.05 * epoch) if is_taught else None
    return _record(
        "epoch", time_s, trial=trial, epoch=epoch, veer_pct=veer_pct,
        veer_low_pct=veer_pct - 1.5, veer_high_pct=veer_pct + 1.7,
        loss_total=4.0 / epoch, loss_classification=4.0 / epoch,
        loss_distillation=0.5 if is_taught else None, loss_reconstruction=None,
        loss_stages=None, classification_share=1 - (distill or 0.0), distill_share=distill,
        reconstruction_share=None, stage_shares=None,
        teacher_cosine=0.02 * epoch if is_taught else None, train_accuracy_pct=3.0 * epoch,
        lr=params["training.lr"], num_samples=4000, samples_per_s=400.0, train_s=9.0, eval_s=1.0,
        peak_memory_mib=700.0, overhead_share=0.02,
        num_params=3000 * params["model.hidden_dim"] * params["model.num_blocks"],
    )  # fmt: skip


def _placed(time_s: float, trial: int, epoch: int, worker: tuple[str, int]) -> Any:
    host, pid = worker
    return _record(
        "placed", time_s, trial=trial, epoch=epoch, host=host, pid=pid, device="cpu",
        num_threads=1, hardware=HARDWARE, had_s=10.0,
    )  # fmt: skip


def _rows(made: list[TrialRecord]) -> Iterator[dict[str, Any]]:
    sizes: dict[str, int] = {"teacher": TEACHER_PARAMS}
    for record in made:
        if isinstance(record, EpochEnded) and record.epoch == MAX_EPOCHS:
            sizes[f"trial {record.trial}"] = int(record.num_params or 0)
    for num_threads in (1, 2):
        for name, num_params in sizes.items():
            median_ms = 0.5 + num_params / 200_000 / num_threads
            yield {
                "model": name, "num_params": num_params, "macs": 10 * num_params,
                "batch_size": 1, "num_threads": num_threads, "latency_median_ms": median_ms,
                "latency_p95_ms": 1.2 * median_ms, "samples_per_s": 1000 / median_ms,
                "real_time_factor": median_ms / 2000,
                "speed_ratio": (0.5 + TEACHER_PARAMS / 200_000 / num_threads) / median_ms,
            }  # fmt: skip


def _record(event: str, time_s: float, **fields: object) -> Any:
    return EVENTS[event](time_s=time_s, **fields)


def keep_made_up_scores(run: RunFolder, num_pairs: int = 300) -> None:
    """Write scores of the first two trials and the teacher beside a made-up run's journal.

    Their figures are the journal's; the scores and replicates are drawn.
    """
    first = made_up_scores(0, num_pairs)
    speakers = [f"id{number % 10}" for number in range(num_pairs)]
    table = pa.table(
        {
            "path_a": speakers, "path_b": speakers, "speaker_a": speakers, "speaker_b": speakers,
            "is_target": first.is_target,
        },
        schema=PAIRS_SCHEMA,
    )  # fmt: skip
    file = pairs_file(run.path)
    file.parent.mkdir()
    pq.write_table(table, file)
    noise = np.random.default_rng(1).normal(size=1000)
    for trial in trial_histories(run.read())[:2]:
        assert trial.best is not None
        write_scores(
            run.trial(trial.trial) / SCORES_FILE,
            _measured(first.scores, noise, trial.best.epoch, trial.best.veer_pct),
        )
    write_scores(teacher_scores_file(run.path), _measured(first.scores, noise, 0, TEACHER_PCT))


def _measured(
    scores: NDArray[np.float32], noise: NDArray[np.float64], epoch: int, veer_pct: float
) -> MeasuredScores:
    replicates = (veer_pct + noise).astype(np.float32)
    return MeasuredScores(epoch=epoch, veer_pct=veer_pct, scores=scores, replicates=replicates)
