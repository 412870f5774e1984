"""`veer space`, run as a user would."""

import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from search.cli import app as cli
from spaces.files.errors import ConfigError, VeerError
from spaces.files.yaml_file import write_yaml
from spaces.reading.space_file import bundled_spaces
from tests.search.commands import table_rows
from trainable.cost import latency

TREE: dict[str, Any] = {
    "model": {
        "family": "mlp_mixer",
        "hidden_dim": {"choices": [8, 16]},
        "num_blocks": {"low": 1, "high": 3, "step": 2},
        "num_frames": 80,
        "embedding_dim": 32,
    },
    "loss": {
        "distillation": {"choices": ["none", "mse", "cosine"]},
        "alpha": {"low": 0.1, "high": 0.9, "when": {"loss.distillation": ["mse", "cosine"]}},
    },
    "training": {"crop_frames": 80, "lr": {"low": 1e-3, "high": 1e-2, "log": True}},
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEER_CACHE", str(tmp_path / "cache"))


def space_file(tmp_path: Path, **limits: object) -> Path:
    file = tmp_path / "mine.yaml"
    write_yaml(file, TREE | ({"limits": limits} if limits else {}))
    return file


def veer(*arguments: object) -> str:
    result = CliRunner().invoke(
        cli.app, ["space", *map(str, arguments)], env={"COLUMNS": "160"}
    )
    if isinstance(result.exception, VeerError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_check_prints_dimensions_counts_and_ranges(tmp_path: Path) -> None:
    output = veer("check", space_file(tmp_path), "--samples", 5)
    table = table_rows(output)
    assert table[:5] == [
        ["model.hidden_dim", "choice", "8, 16"],
        ["model.num_blocks", "integer", "1 to 3", "steps of 2"],
        ["loss.distillation", "choice", "none, mse, cosine"],
        ["loss.alpha", "float", "0.1 to 0.9", "loss.distillation is mse or cosine"],
        ["training.lr", "float", "0.001 to 0.01", "log"],
    ]
    assert "fixed: model.num_frames = 80" in output
    assert "continuous, so no number of configs; 4 architectures (all of the space)" in output
    places = {row[0]: place for place, row in enumerate(table) if row[0]}
    assert table[places["parameters"]][3] == "all 4 architectures"
    assert table[places["parameters"] + 1] == ["model.hidden_dim 8", "model.hidden_dim 16"]
    assert table[places["parameters"] + 2] == ["model.num_blocks 1", "model.num_blocks 3"]
    assert table[places["MACs, 2 s"]][3] == "all 4 architectures"
    assert "no limits are set" in output


def test_check_counts_what_breaks_each_limit(
    tmp_path: Path, tiny_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ratios that are not steady are measured again; on a busy machine some are not.
    monkeypatch.setattr(latency, "STEADY_WITHIN", math.inf)
    file = space_file(
        tmp_path, max_params=1, max_cpu_latency_vs_teacher=1e6, max_gpu_memory="100GiB"
    )
    arguments = ("check", file, "--samples", 3, "--teacher", tiny_world / "teacher")
    output = veer(*arguments)
    assert "0 of 3 random configs are inside the limits (0.0%)" in output
    assert "3 break max_params: 1\n" in output
    assert "0 break max_cpu_latency_vs_teacher: 1e+06" in output
    assert "0 break max_gpu_memory: 102400.0MiB" in output
    table = {row[0]: row for row in table_rows(output) if row[0]}
    assert table["CPU time / teacher"][3] == "3 random configs"
    assert table["GPU memory of a step"][1].endswith("MiB")
    # Remembered: the same times again.
    again = {row[0]: row for row in table_rows(veer(*arguments)) if row[0]}
    assert again["CPU time / teacher"] == table["CPU time / teacher"]


def test_check_counts_what_the_limits_leave_of_each_family(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    model = {
        "family": {"choices": ["mlp_mixer_free", "campplus", "ecapa_tdnn"]},
        "hidden_dim": {"choices": [8, 16]},
        "growth": {"choices": [4, 6, 32]},
    }
    tree = {"model": model, "loss": {"distillation": "none"}, "limits": {"max_params": 300_000}}
    write_yaml(file, tree)
    output = veer("check", file, "--samples", 40)
    rows = {row[0]: row for row in table_rows(output)}
    assert rows["model.growth"][-1] == "model.family is campplus"
    _, architectures, drawn, inside = rows["mlp_mixer_free"]
    assert (architectures, inside) == ("2", f"{drawn} (100%)")
    _, architectures, others, left = rows["campplus"]
    assert architectures == "3"
    assert int(drawn) + int(others) + int(rows["ecapa_tdnn"][2]) == 40
    assert rows["ecapa_tdnn"][1::2] == ["1", "0 (0%)"]
    # Of growth 4, 6 and 32 only the last one has more parameters.
    assert 0 < int(left.split()[0]) < int(others)


def test_the_seed_draws_the_configs(tmp_path: Path) -> None:
    file = space_file(tmp_path, max_macs=2_000_000)
    outputs = [veer("check", file, "--samples", 50, "--seed", seed) for seed in (0, 0, 1)]
    lines = [next(x for x in each.splitlines() if "inside" in x) for each in outputs]
    assert lines[0] == lines[1] != lines[2]


def test_a_space_without_a_continuous_range_has_a_number_of_configs(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    write_yaml(file, TREE | {"loss": {"distillation": "none"}, "training": {"crop_frames": 80}})
    assert "4 configs; 4 architectures (all of the space)" in veer("check", file, "--samples", 1)


def test_a_limit_without_its_teacher_is_refused(tmp_path: Path) -> None:
    file = space_file(tmp_path, max_cpu_latency_vs_teacher=0.5)
    with pytest.raises(ConfigError, match="needs a teacher with a network: give --teacher"):
        veer("check", file)


def test_a_mistake_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model:\n  family: mlp_mixer\n  hiden_dim: {low: 8, high: 16}\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml:3: model\.hiden_dim: unknown key; did you"):
        veer("check", file)


def test_an_unknown_name_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no space file or bundled space 'mixr'; did you mean"):
        veer("check", "mixr")


@pytest.mark.slow
def test_the_notes_large_student_is_the_largest_of_the_bundled_space() -> None:
    table = table_rows(veer("check", "mixer", "--samples", 1))
    place = next(place for place, row in enumerate(table) if row[0] == "parameters")
    assert table[place][2] == "7,366,592"
    assert [row[1] for row in table[place + 1 : place + 4]] == [
        "model.hidden_dim 256",
        "model.num_blocks 8",
        "model.expansion_factor 4",
    ]


def test_a_space_of_presets_distinguishes_their_models() -> None:
    output = veer("check", "notes", "--samples", 1)
    assert "19 configs; 5 architectures (all of the space)" in output
    table = table_rows(output)
    place = next(place for place, row in enumerate(table) if row[0] == "parameters")
    assert table[place][2] == "7,366,592"
    assert "model.num_blocks 8" in [row[1] for row in table[place + 1 : place + 8]]


def test_conditions_are_printed_in_words(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    loss = {
        "distillation": {"choices": ["none", "mse"]},
        "alpha": {"low": 0.1, "high": 0.9},
        "stages": {"choices": ["none", "cosine"], "when": {"loss.distillation": {"not": "none"}}},
    }
    write_yaml(file, TREE | {"loss": loss})
    found = table_rows(veer("check", file, "--samples", 1))
    table = {row[0]: row[3:] for row in found if row[0].startswith("loss.")}
    assert table["loss.distillation"] == []
    [alpha], [stages] = table["loss.alpha"], table["loss.stages"]
    assert alpha == "loss.distillation is not none"
    assert stages.startswith("loss.distillation is not none")


def test_list_prints_every_bundled_space_with_its_first_line() -> None:
    table = dict(table_rows(veer("list")))
    assert set(table) == set(bundled_spaces())
    assert table["mixer"] == "MLP-Mixer students: the loss, the size and the learning rate."
