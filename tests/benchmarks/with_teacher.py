"""What a teacher gives: the same students with and without it.

`make bench NAME=with-teacher ARGS='--corpus corpus.yaml --teacher FILE --out runs/with-teacher'`.
Configs are drawn at random from a bundled space with the cosine term, its share `alpha` as drawn,
and each is trained with several seeds, with the term and without. The two runs of a pair begin
with the same weights. A run is judged once, after its last epoch, by the cosine of mean embeddings
over 10 crops, on all pairs of the validation utterances: nothing is chosen, so no figure is too
low. Finished pairs are kept in the folder; the same command continues, one seed of all configs
after the other.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spaces.files.atomic import write_text_atomically
from spaces.files.yaml_file import read_yaml, write_yaml
from spaces.reading.space_file import read_space
from tests.benchmarks.curve_masks import all_pairs_list
from tests.benchmarks.headline import embedding_dim_of
from tests.benchmarks.headline_runs import scaled_space
from tests.benchmarks.ratios import mean_ratio
from tests.benchmarks.search_problem import random_params
from trainable.config.eval_plan import EvalPlan
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.features.crop_bank import TargetsConfig
from trainable.features.training_data import TrainingData, load_training_data
from trainable.loss.teacher_output import AnyTeacher
from trainable.machine.cache_dir import cache_dir
from trainable.machine.hardware import describe_hardware
from trainable.teachers.any_teacher import find_teacher, open_teacher
from trainable.training.trainer import Trainer

NUM_CROPS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The two runs of a config and a seed.

    Attributes:
        config: Number of the config.
        seed: Seed of both runs.
        taught_pct: EER with the teacher, percent.
        alone_pct: EER without.
    """

    config: int
    seed: int
    taught_pct: float
    alone_pct: float


def drawn_configs(space_file: Path, num: int, max_epochs: int) -> list[dict[str, Any]]:
    """Draw config trees that distil by the cosine term."""
    tree = read_yaml(space_file).data
    tree["loss"] = {**tree["loss"], "distillation": "cosine"}
    tree["loss"].pop("temperature", None)
    write_yaml(space_file, tree)
    space = read_space(space_file, TrialConfig)
    rng = np.random.default_rng(0)
    found = [space.tree(random_params(space, rng)) for _ in range(num)]
    training = {"max_epochs": max_epochs, "eval_crops": NUM_CROPS}
    return [{**each, "training": {**each["training"], **training}} for each in found]


def end_pct(
    tree: dict[str, Any], seed: int, data: TrainingData, teacher: AnyTeacher | None
) -> float:
    """Train a student, without the distillation term if there is no teacher; return its EER."""
    loss = tree["loss"]
    if teacher is None:
        loss = {key: loss[key] for key in loss if key not in ("distillation", "alpha")}
        loss["distillation"] = "none"
    trial = TrialConfig.model_validate({**tree, "loss": loss, "seed": seed})
    trainer = Trainer(trial, data, teacher=teacher, device=torch.device("cpu"))
    trainer.eval_plan = EvalPlan(
        every_epochs=trial.training.max_epochs, all_from=trial.training.max_epochs
    )
    while trainer.epoch < trial.training.max_epochs:
        trainer.run_epoch()
    veer_pct = trainer.history[-1].veer_pct
    assert veer_pct is not None
    return veer_pct


def pairs_of(
    folder: Path,
    trees: Sequence[dict[str, Any]],
    num_seeds: int,
    data: TrainingData,
    teacher: AnyTeacher,
) -> Iterator[Pair]:
    """Yield all pairs, training those that the folder does not have."""
    for seed in range(num_seeds):
        for config, tree in enumerate(trees):
            file = folder / f"{config}-{seed}.json"
            if not file.exists():
                pair = Pair(
                    config=config,
                    seed=seed,
                    taught_pct=end_pct(tree, seed, data, teacher),
                    alone_pct=end_pct(tree, seed, data, None),
                )
                write_text_atomically(file, json.dumps(asdict(pair)))
                print(pair, flush=True)
            yield Pair(**json.loads(file.read_text()))


def report_lines(trees: Sequence[dict[str, Any]], pairs: Sequence[Pair]) -> Iterator[str]:
    """Yield a table by config as Markdown, then the medians and the ratio with their intervals."""
    yield "| config | width | blocks | alpha | lr | with teacher | without |"
    yield "|" + "---|" * 7
    for config, tree in enumerate(trees):
        own = [pair for pair in pairs if pair.config == config]
        model, loss = tree["model"], tree["loss"]
        seeds = (
            ", ".join(f"{pct:.2f}" for pct in side)
            for side in ([p.taught_pct for p in own], [p.alone_pct for p in own])
        )
        cells = [str(config), str(model["hidden_dim"]), str(model["num_blocks"])]
        cells += [f"{loss['alpha']:.2f}", f"{tree['training']['lr']:.4f}", *seeds]
        yield f"| {' | '.join(cells)} |"
    taught, alone = [p.taught_pct for p in pairs], [p.alone_pct for p in pairs]
    yield f"median with the teacher {_median(taught)}, without {_median(alone)}"
    groups = [str(pair.config) for pair in pairs]
    ratio = mean_ratio(alone, taught, groups, num_resamples=2000)
    yield f"without over with, geometric mean, 95 % over configs and seeds: {ratio}"


def _median(pct: Sequence[float]) -> str:
    drawn = np.random.default_rng(0).choice(pct, size=(10_000, len(pct)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return f"{np.median(pct):.2f} % ({low:.2f} to {high:.2f})"


def main() -> None:
    """Train the pairs that are missing, and report all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True, help="a corpus.yaml")
    parser.add_argument("--teacher", type=Path, required=True, help="a model or a .parquet")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--space", default="small", help="a bundled space of Mixers")
    parser.add_argument("--width", type=float, default=0.25, help="factor on its widths")
    parser.add_argument("--configs", type=int, default=4, help="configs to draw")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ...")
    parser.add_argument("--max-epochs", type=int, default=9, help="epochs of a run")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    teacher_file = find_teacher(given.teacher.resolve())
    file = given.out / "space.yaml"
    scaled_space(file, given.space, given.width, embedding_dim_of(teacher_file))
    trees = drawn_configs(file, given.configs, given.max_epochs)
    corpus = read_corpus_config(given.corpus.resolve())
    all_pairs = all_pairs_list(corpus.val_list, given.out)
    corpus = corpus.model_copy(update={"val_list": all_pairs.resolve()})
    data = load_training_data(corpus, cache_dir=cache_dir())
    bank = TargetsConfig(num_crops=8).bank(200, "cpu")
    teacher = open_teacher(teacher_file, data, bank, cache_dir=cache_dir())
    pairs = list(pairs_of(given.out, trees, given.seeds, data, teacher))
    hardware = ", ".join(f"{name} {value}" for name, value in describe_hardware().items())
    print(f"\non {hardware}\n", *report_lines(trees, pairs), sep="\n")


if __name__ == "__main__":
    main()
