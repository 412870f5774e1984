"""`veer reproduce`."""

from typing import Any

from typer.testing import CliRunner

from search.cli.app import app
from tests.search.commands import table_rows
from tests.worlds.recorded_trials import forged


def test_what_the_command_cannot_do_is_refused_before_log_mels_are_looked_for(run, monkeypatch):
    def load(*_: Any, **__: Any) -> None:
        raise AssertionError("log-mels were loaded")

    monkeypatch.setattr("trainable.features.training_data.load_training_data", load)
    for options, message in (
        (["--out", str(run.path)], "is not empty; give --out a new folder"),
        (["--out", "/proc/nothing/here"], "cannot be created or read"),
        (["--device", "tpu"], "'tpu' is not one of 'cpu', 'cuda'"),
        (["--threads", "1025"], "less than or equal to 1024"),
    ):
        result = CliRunner().invoke(app, ["reproduce", str(run.path), "0", *options])
        assert result.exit_code != 0
        assert not isinstance(result.exception, AssertionError)
        text = result.output + str(result.exception)
        assert message in " ".join(text.replace("│", " ").split())


def test_command_prints_the_table_and_ends_with_the_verdict(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    result = CliRunner().invoke(app, ["reproduce", str(run.path), "0", "--epochs", "2"])
    assert result.exit_code == 0, result.output
    rows = table_rows(result.output)
    assert [[row[0], row[3], row[5]] for row in rows] == [
        ["1", "0", "0"], ["2", "0", "0"],
    ]  # fmt: skip
    assert result.output.splitlines()[-1] == "reproduced bit for bit: 2 epochs"
    assert not (tmp_path / "again").exists()


def test_command_fails_where_the_trial_is_not_reproduced(run, tmp_path):
    forged(run, veer_pct=lambda value: value + 0.5)
    out = tmp_path / "again"
    result = CliRunner().invoke(app, ["reproduce", str(run.path), "0", "--out", str(out)])
    assert result.exit_code == 1
    assert "epoch 3 in veer_pct" in result.output
    assert "-5.00e-01" in result.output
    kept = ["config.yaml", "model", "scores.npz"]
    assert sorted(path.name for path in out.iterdir()) == kept
