"""A search over a student from the user's own file, from its check to its export."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from models.user_code import allow_code, is_code_allowed
from results.analysis.ranking import ranked
from results.analysis.run_view import RunView
from results.export.benchmark import BenchmarkConfig, benchmark_run
from results.export.export import export_trial
from results.journal.history import trial_histories
from results.journal.run_folder import RunFolder
from search.run.own_models import check_own_models
from search.run.progress import SearchView
from search.run.run_search import run_search
from spaces.files.errors import ConfigError
from spaces.files.yaml_file import read_yaml, write_yaml
from tests.search.commands import veer
from tests.worlds.own_student import MODEL, REFUSED, TRIAL, User
from trainable.config.reading import read_trial_space
from trainable.config.trial_config import read_train_config


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"width": {"choices": [8, 16, 32]}}, r"ValueError: .* got 32 \(with model.width 32\)$"),
        ({"width": {"low": 8, "high": 17}}, r"ValueError: .* got 17 \(with model.width 17\)$"),
        ({"widht": {"low": 8, "high": 9}}, r"model.widht: unknown key; did you mean 'width'\?"),
        (
            {
                "family": {"choices": ["mlp_mixer", "mine.net:Nett"]},
                "width": {"low": 8, "high": 9, "when": {"model.family": "mine.net:Nett"}},
            },
            r"no class 'Nett'; did you mean 'Net'\? \(with model.width 8\)$",
        ),
    ],
)
def test_a_search_tries_every_end_of_the_space_before_its_first_trial(
    user: User,
    make_settings: Callable[..., Any],
    tmp_path: Path,
    model: dict[str, Any],
    message: str,
) -> None:
    trial = {"model": MODEL | {"width": 12} | model, "training": {"crop_frames": 200}}
    write_yaml(tmp_path / "space.yaml", trial | {"seed": {"low": 0, "high": 1}})
    settings = make_settings(space=tmp_path / "space.yaml")
    with pytest.raises(ConfigError, match=rf"^space space .*{REFUSED}$".replace("Net", "Nett?")):
        run_search(settings, tmp_path / "run", SearchView(Console(quiet=True)))
    assert not (tmp_path / "run").exists()
    assert user.num_imports == 0
    allow_code(user.folder)
    with pytest.raises(ConfigError, match=message):
        run_search(settings, tmp_path / "run", SearchView(Console(quiet=True)))
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("user")
def test_a_search_of_bundled_families_needs_no_permission(
    make_settings: Callable[..., Any],
) -> None:
    settings = make_settings()
    check_own_models(settings, read_trial_space(settings.space))
    assert not is_code_allowed()


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_here")
def test_a_search_over_a_student_of_ones_own_ends_in_an_export_that_loads(
    user: User, make_settings: Callable[..., Any], tmp_path: Path
) -> None:
    space = TRIAL | {"model": MODEL | {"width": {"choices": [8, 16]}}}
    write_yaml(tmp_path / "space.yaml", space)
    settings = make_settings(space=tmp_path / "space.yaml", num_trials=2)
    allow_code(user.folder)
    run_search(settings, tmp_path / "run", SearchView(Console(quiet=True)))
    run = RunFolder(tmp_path / "run")
    histories = trial_histories(run.read())
    assert [h.state in ("complete", "stopped_early") for h in histories] == [True, True]
    for history in histories:
        width = history.started.params["model.width"]
        assert history.epochs[1].num_params == (80 + 1) * width + (width + 1) * 32
        assert history.epochs[1].distill_share > 0
    config = BenchmarkConfig(batch_sizes=(1,), num_threads=(1,), rounds=1, warmup_rounds=0)
    student = benchmark_run(RunView.read(run), 1, config).rows[1]
    width = ranked(histories)[0].started.params["model.width"]
    # Of a 2-s utterance: 200 frames through the first layer, one vector through the second.
    assert student.macs == 200 * 80 * width + width * 32

    folder = export_trial(RunView.read(run)).folder
    text = (folder / "config.yaml").read_text()
    assert text.startswith("# model.family is a class in a file of your own: give --allow-code")
    card = (folder / "README.md").read_text()
    assert "`veer train config.yaml --out FOLDER --allow-code`" in card
    assert read_train_config(folder / "config.yaml").trial.model.family == "mine.net:Net"
    assert read_yaml(folder / "config.yaml").data["trial"]["model"]["width"] == width
    user.forget()
    embedding = run_card(card, folder)
    assert embedding.shape == (2, 32)
    assert load_file(folder / "weights.safetensors")["up.weight"].shape == (width, 80)
    user.forget()
    for command in ("export", "benchmark"):
        with pytest.raises(ConfigError, match=REFUSED):
            veer(command, run.path)
    again = veer("export", run.path, "--allow-code")
    assert "config.yaml --allow-code" in again.output


def run_card(card: str, folder: Path) -> torch.Tensor:
    """What the card's own code gives for two seconds of noise."""
    code = card.split("```python\n")[1].split("```")[0]
    code = code.replace('Path(".")', f"Path({str(folder)!r})")
    names: dict[str, Any] = {"wave": 0.1 * torch.randn(2, 16_000)}
    exec(code, names)  # our own card
    return names["embedding"]
