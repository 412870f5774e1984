"""What a command loads before it answers: the heavy libraries only where it needs them."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from results.export.benchmark import BenchmarkConfig
from results.journal.run_folder import RunFolder
from search.cli import cluster, evaluate, results
from search.cluster.nodes import LOOPBACK
from tests.worlds.made_up_run import write_made_up_run
from trainable.verification.crops import DEFAULT_EVAL_FRAMES

ROOT = Path(__file__).parents[3]
HEAVY = ("torch", "torch._dynamo", "torchaudio", "ray", "optuna", "plotly", "tensorboardX",
         "scipy", "sklearn", "pandas", "pyarrow", "numpy", "pydantic", "markdown_it")  # fmt: skip
CODE = f"""
import sys
from search.cli.entry import main
try:
    main()
finally:
    print(*sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return write_made_up_run(tmp_path_factory.mktemp("made-up") / "run", num_trials=3)


def loaded(*words: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "words",
    [["--help"], ["search", "--help"], ["simulate", "--help"], ["train", "--help"],
     ["data", "check", "--help"], ["verify", "--help"], ["evaluate", "--help"]],
    ids=" ".join,
)  # fmt: skip
def test_help_loads_no_heavy_library(words: list[str]) -> None:
    assert loaded(*words) == set()


def test_the_list_of_spaces_loads_what_reads_their_files() -> None:
    assert loaded("space", "list") <= {"numpy", "pydantic"}


@pytest.mark.parametrize("words", [["trials"], ["show", "1"]], ids=" ".join)
def test_tables_are_read_without_torch_ray_and_optuna(words: list[str], run: RunFolder) -> None:
    command, *rest = words
    tables = {"pyarrow", "numpy", "pandas", "scipy", "pydantic"}
    assert loaded(command, str(run.path), *rest) <= tables


def test_presets_build_models_and_need_no_ray() -> None:
    assert not {"ray", "torch._dynamo"} & loaded("presets")


@pytest.mark.parametrize(
    ("command", "option", "default"),
    [(results.benchmark, "rounds", BenchmarkConfig().rounds),
     (evaluate.evaluate, "eval_frames", DEFAULT_EVAL_FRAMES),
     (cluster.head, "dashboard_host", LOOPBACK)],
    ids=["rounds", "eval_frames", "dashboard_host"],
)  # fmt: skip
def test_the_default_that_help_shows_is_the_codes(command, option, default) -> None:
    parameter = inspect.signature(command, eval_str=True).parameters[option]
    [shown] = [each.show_default for each in parameter.annotation.__metadata__]
    assert shown == str(default)
