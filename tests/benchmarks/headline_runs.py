"""The searches of the benchmark `headline`: one corpus in two halves, four arms with equal epochs.

The validation speakers are divided into two halves. The searches use only the trial pairs of one
half. The other half is the test list, which is opened once, when the students are already chosen.
Each half has every pair of its utterances. All arms get the same number of epochs, counted as they
run, those of stopped trials included.

The search has the product's defaults. The others are what a user can do without them, and decide
by the VEER: the notes' preset again and again, and random configs of the same space, all trained
to the end or stopped early from a fixed rung on. The three arms with a space draw the time
constant of the weights' average with the other settings; the preset has raw weights.
"""

import itertools
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from spaces.files.atomic import write_text_atomically
from spaces.files.yaml_file import read_yaml, write_yaml
from spaces.reading.space_file import bundled_spaces
from trainable.corpus.corpus import CorpusConfig, read_corpus
from trainable.lists.speaker_rule import SpeakerRule
from trainable.lists.speakers import names_by

SEARCH = "search"
PRESET = "preset"
RANDOM = "random"
RANDOM_ASHA = "random, ASHA"
# The settings of each way, beside what all share.
ARMS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        SEARCH: {},
        PRESET: {"sampler": "grid", "decide_by": "veer", "scheduler": {"kind": "none"}},
        RANDOM: {"sampler": "random", "decide_by": "veer", "scheduler": {"kind": "none"}},
        RANDOM_ASHA: {"sampler": "random", "decide_by": "veer"},
    }
)
FILES = MappingProxyType({"val_list": "validation.txt", "test_list": "test.txt"})
# More than the epochs allow: they end the search, not the number of trials.
MANY_TRIALS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is compared.

    Attributes:
        corpus: The user's corpus.
        teacher: Teacher of the students, a trained model or a file of embeddings.
        embedding_dim: Size of its embeddings, and so of the students'.
        out: Folder of runs and lists; existing runs are continued.
        space: Name of the bundled space.
        width: Factor on the widths of the space.
        preset_width: Factor on the width of the preset.
        max_epochs: Epochs of a trial that is not stopped.
        total_epochs: Epochs of a search; the preset gets `total_epochs / max_epochs` trials.
        grace_epochs: The first rung of random search with ASHA.
    """

    corpus: CorpusConfig
    teacher: Path
    embedding_dim: int
    out: Path
    space: str
    width: float
    preset_width: float
    max_epochs: int
    total_epochs: int
    grace_epochs: int

    def run(self, arm: str, seed: int) -> Path:
        """Return the run folder of one search."""
        return self.out / "runs" / f"{arm.replace(', ', '-')}-{seed}"


def cut_in_two(corpus: CorpusConfig, out: Path) -> CorpusConfig:
    """Write both trial lists into a folder and return the corpus that names them.

    The sorted speakers go to the halves in turn, so that both have the same mixture.
    """
    out.mkdir(parents=True, exist_ok=True)
    pairs = read_corpus(corpus).val_pairs
    paths = sorted({path for pair in pairs for path in (pair.path_a, pair.path_b)})
    speaker_of = dict(zip(paths, names_by(SpeakerRule(folder=1), paths), strict=True))
    speakers = sorted(set(speaker_of.values()))
    found: dict[str, Path] = {}
    for half, (name, file) in enumerate(FILES.items()):
        found[name] = out / file
        among = set(speakers[half::2])
        own = [path for path in paths if speaker_of[path] in among]
        lines = (
            f"{int(speaker_of[a] == speaker_of[b])} {a} {b}\n"
            for a, b in itertools.combinations(own, 2)
        )
        write_text_atomically(found[name], "".join(lines))
    return corpus.model_copy(update=found | {"test_dir": corpus.val_dir})


def run_search_of(plan: Plan, corpus: CorpusConfig, arm: str, seed: int) -> Path:
    """Run one search, or the rest of it, by the command that a user would give.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    early_stopping = {"scheduler": {"grace_epochs": plan.grace_epochs}}
    settings = {
        "corpus": corpus.model_dump(mode="json"),
        "teacher": str(plan.teacher),
        "space": str(_space(plan, arm)),
        "num_trials": plan.total_epochs // plan.max_epochs if arm == PRESET else MANY_TRIALS,
        "repetitions": plan.total_epochs // plan.max_epochs if arm == PRESET else 1,
        "max_epochs": plan.max_epochs,
        "total_epochs": plan.total_epochs,
        "max_concurrent": 1,
        "width_scale": plan.preset_width if arm == PRESET else 1,
        "seed": seed,
        "resources": {"cpu": 1},
        "device": "cpu",
        "keep_best": 1,
        "benchmark_top": 0,
        **(early_stopping if arm == RANDOM_ASHA else {}),
        **ARMS[arm],
    }
    run = plan.run(arm, seed)
    search_into(run, settings)
    return run


def search_into(run: Path, settings: Mapping[str, Any]) -> None:
    """Run `veer search` with settings, or the rest of it.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    file = run.with_suffix(".yaml")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_yaml(file, settings)
    run_veer("search", str(file), "--run", str(run))


def run_veer(*arguments: str) -> None:
    """Run a command of Veer on one thread, without its output: what it found is in its folder.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    veer = [sys.executable, "-c", "from search.cli.entry import main; main()"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*veer, *arguments], check=True, env=environment, stdout=subprocess.DEVNULL
    )


def scaled_space(file: Path, name: str, width: float, embedding_dim: int) -> Path:
    """Write a bundled space at another width, for students with embeddings of this size."""
    space = read_yaml(bundled_spaces()[name]).data
    widths = space["model"]["hidden_dim"]["choices"]
    model = {
        **space["model"],
        "embedding_dim": embedding_dim,
        "hidden_dim": {"choices": [round(each * width) for each in widths]},
    }
    write_yaml(file, {**space, "model": model})
    return file


def _space(plan: Plan, arm: str) -> Path:
    """Return the space file of an arm: the bundled space at another width, or only the preset."""
    if arm != PRESET:
        file = plan.out / f"{plan.space}.yaml"
        return scaled_space(file, plan.space, plan.width, plan.embedding_dim)
    file = plan.out / "preset.yaml"
    write_yaml(file, {"presets": ["v2_cosine"], "model": {"embedding_dim": plan.embedding_dim}})
    return file
