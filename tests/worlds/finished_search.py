"""Finished searches on Ray, for all tests that only read what a search leaves."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from results.export.benchmark import BenchmarkConfig, benchmark_run
from results.journal.run_folder import RunFolder
from search.config.reading import read_search_config
from search.config.search_config import SearchConfig
from search.run.progress import SearchView
from search.run.run_search import run_search
from spaces.files.yaml_file import write_yaml
from tests.search.real_search import tiny_settings
from tests.worlds.made_up_gpu import forbid_cuda_here
from tests.worlds.tiny_world import small_search
from tests.worlds.watched_files import files_opened, with_test_list

# In the driver's environment while the search runs.
SECRET = "feedc0ffee" * 6
# Of Optuna's journal.
CREATE_TRIAL, SET_VEER = 4, 7
QUICK = BenchmarkConfig(batch_sizes=(1,), num_threads=(1,), rounds=2, warmup_rounds=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedSearch:
    """A finished search.

    Attributes:
        run: Its run folder, which nobody may change.
        overrides: What sets it apart from the settings of `tiny_search_settings`.
        output: What it printed.
        opened: The files that the driver opened.
    """

    run: RunFolder
    overrides: Mapping[str, Any]
    output: str
    opened: tuple[str, ...]


def tiny_search_settings(world: Path, file: Path, overrides: Mapping[str, Any]) -> SearchConfig:
    """Return the settings of `small_search`, with other values.

    Args:
        world: See `build_tiny_world`.
        file: Where to write them, without the overrides.
        overrides: Other values by key; `__` in a key stands for a dot.
    """
    write_yaml(file, small_search(world))
    dotted = {name.replace("__", "."): value for name, value in overrides.items()}
    return read_search_config(file, dotted)


def finish_a_search(world: Path, folder: Path) -> FinishedSearch:
    """Run a search of six trials, two at once, with a benchmark of the best.

    Its corpus names a test list that is not there: a worker that opened it would fail. A secret
    is in the environment. The process that leads it may not use CUDA.
    """
    corpus = with_test_list(world / "corpus" / "corpus.yaml", folder, is_there=False)
    overrides = {
        "corpus": str(corpus), "num_trials": 6, "max_concurrent": 2, "benchmark_top": 1,
    }  # fmt: skip
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, files_opened() as opened:
        patch.setenv("VEER_CACHE", str(world / "cache"))
        patch.setenv("RAY_AUTH_TOKEN", SECRET)
        quick = partial(benchmark_run, config=QUICK)
        patch.setattr("search.run.ending.benchmark_run", quick)
        forbid_cuda_here(patch)
        settings = tiny_search_settings(world, folder / "settings.yaml", overrides)
        view = SearchView(Console(file=output, width=200))
        result = run_search(settings, folder / "run", view)
    assert result.reason == "finished"
    return FinishedSearch(
        run=RunFolder(folder / "run"),
        overrides=overrides,
        output=output.getvalue(),
        opened=tuple(opened),
    )


@dataclass(frozen=True, slots=True)
class SearchInTurn:
    """A finished search of one trial after the other, which has one possible result.

    Attributes:
        run: Its run folder, which nobody may change.
        seen: After each step its trials and values in the study, and the bytes for TensorBoard.
    """

    run: RunFolder
    seen: tuple[tuple[int, int, int], ...]


def in_turn_settings(world: Path, file: Path, **changes: Any) -> SearchConfig:
    """Return the settings of `search_in_turn`, written to a file and changed."""
    write_yaml(file, tiny_settings(world, **changes))
    return read_search_config(file)


def search_in_turn(world: Path, folder: Path) -> SearchInTurn:
    """Run the search of `tiny_settings`, undisturbed."""
    run, seen = folder / "run", []

    class Watching(SearchView):
        def show(self, status: Any) -> None:
            super().show(status)
            lines = (run / "optuna-journal.log").read_text().splitlines()
            codes = [json.loads(line)["op_code"] for line in lines]
            num_bytes = sum(path.stat().st_size for path in run.glob("tensorboard/*/events*"))
            seen.append((codes.count(CREATE_TRIAL), codes.count(SET_VEER), num_bytes))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VEER_CACHE", str(world / "cache"))
        settings = in_turn_settings(world, folder / "settings.yaml")
        result = run_search(settings, run, Watching(Console(quiet=True)))
    assert result.reason == "finished"
    return SearchInTurn(RunFolder(run), tuple(seen))
