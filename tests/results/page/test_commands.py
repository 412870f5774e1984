"""Commands on a run, as a user calls them."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner, Result

from results.analysis.run_view import RunView
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.trial_records import InfrastructureFault, TrialEnded, TrialStarted
from search.cli import results as commands
from search.cli.export import export
from spaces.files.errors import DiskFullError, VeerError
from tests.search.commands import veer as any_command
from tests.worlds.made_up_run import write_made_up_run
from tests.worlds.views import counted_reads


@pytest.fixture
def veer() -> "Veer":
    return Veer()


class Veer:
    def __init__(self) -> None:
        self.app = typer.Typer()
        for command in (
            commands.trials,
            commands.show,
            commands.report,
            commands.benchmark,
            export,
        ):
            self.app.command()(command)

    def __call__(self, *arguments: object) -> Result:
        result = CliRunner().invoke(self.app, [str(each) for each in arguments])
        if isinstance(result.exception, VeerError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result


def test_trials_prints_the_teacher_first_and_writes_the_tables(
    veer: Veer, journal_run: RunFolder
) -> None:
    output = veer("trials", journal_run.path).output
    assert output.index("teacher") < output.index("complete")
    assert journal_run.trials_table.is_file()
    assert journal_run.epochs_table.is_file()


def test_trials_prints_json_that_parses(veer: Veer, journal_run: RunFolder) -> None:
    arguments = ("--filter", "state=complete", "--sort", "-trial", "--columns", "trial, lr")
    output = veer("trials", journal_run.path, "--format", "json", *arguments).output
    assert json.loads(output) == [
        {"trial": 6, "param.training.lr": 0.006},
        {"trial": 5, "param.training.lr": 0.005},
        {"trial": 0, "param.training.lr": 0.001},
    ]


def test_trials_prints_chosen_columns_in_their_order(veer: Veer, journal_run: RunFolder) -> None:
    output = veer("trials", journal_run.path, "--columns", "veer_pct,trial").output
    assert output.split("\n")[1].split() == ["VEER", "%", "trial"]


def test_trials_writes_parquet_to_a_file(
    veer: Veer, journal_run: RunFolder, tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    assert veer("trials", journal_run.path, "--format", "parquet", "--out", out).output == ""
    assert pq.read_table(out).num_rows == 7


def test_trials_of_a_shared_run_are_named_by_it(veer: Veer, shared_run: RunFolder) -> None:
    output = veer("trials", shared_run.path, "--columns", "trial,veer_pct,preset").output
    rows = [line.split() for line in output.splitlines()]
    assert ["=", "0", "11.00", "p4c_wide_shallow"] in rows
    arguments = ("--filter", "meets=target", "--filter", "same_as!=null", "--format", "json")
    output = veer("trials", shared_run.path, *arguments, "--columns", "trial,same_as").output
    assert json.loads(output) == [
        {"trial": None, "same_as": 1},
        {"trial": None, "same_as": 0},
    ]
    output = veer("trials", shared_run.path, "--filter", "trial=0").output
    assert "warning: students without distillation already beat the teacher" in output
    output = veer("trials", shared_run.path, "--filter", "state=complet").output
    assert "none of the 6 trials has state=complet" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--columns", "trail"), "unknown column 'trail'; did you mean 'trial'"),
        (("--sort", "veer"), "unknown column 'veer'"),
        (("--format", "parquet"), "needs a file: add --out FILE"),
    ],
)
def test_mistakes_are_named(
    veer: Veer, journal_run: RunFolder, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(VeerError, match=message):
        veer("trials", journal_run.path, *arguments)


def test_a_folder_that_is_no_run_is_named(veer: Veer, tmp_path: Path) -> None:
    with pytest.raises(VeerError, match="missing does not exist"):
        veer("show", tmp_path / "missing", 0)


def test_show_prints_a_trial(veer: Veer, journal_run: RunFolder) -> None:
    output = veer("show", journal_run.path, 1).output
    assert "no effect: distillation did nothing" in output
    assert "stopped early" in output


def test_report_writes_a_page_and_prints_its_path(
    veer: Veer, journal_run: RunFolder, tmp_path: Path
) -> None:
    out = tmp_path / "pages" / "[b] my page.html"
    output = veer("report", journal_run.path, "--out", out).output
    assert output == f"{out}\n"
    assert out.read_text().startswith("<!DOCTYPE html>")
    assert not journal_run.report.exists()
    veer("report", journal_run.path)
    assert journal_run.report.is_file()


@pytest.mark.slow
def test_benchmark_and_export(veer: Veer, trained_run: RunFolder, tmp_path: Path) -> None:
    output = veer("benchmark", trained_run.path, "--top", 1, "--rounds", 1).output
    assert "trial 0" in output
    assert "on cpu " in output
    output = veer("export", trained_run.path, "--trial", 0, "--out", tmp_path / "out").output
    assert f"veer train {tmp_path / 'out' / 'config.yaml'}" in output
    assert (tmp_path / "out" / "weights.safetensors").is_file()


def test_show_of_a_trial_without_an_epoch_prints_what_is_known(veer: Veer, tmp_path: Path) -> None:
    with Journal(tmp_path / "run" / "journal.jsonl") as journal:
        journal.append(
            TrialStarted(
                trial=0,
                params={"training.lr": 1e-3},
                config={"loss": {"distillation": "none"}, "training": {"lr": 1e-3}},
                config_hash="ab",
                seed=0,
            )
        )
        for name in ("worker_lost", "error"):
            fields = {"trial": 0, "epoch": 0, "kind": name, "message": "boom"}
            journal.append(InfrastructureFault(**fields))
        journal.append(TrialEnded(trial=0, state="failed", reason="2 faults"))
    output = veer("show", tmp_path / "run", 0).output
    assert "worker_lost" in output
    assert "2 faults" in output


def test_trials_are_shown_where_the_tables_cannot_be_written(
    veer: Veer, journal_run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(view: RunView) -> None:
        raise DiskFullError(f"{view.folder.trials_table}: cannot be written")

    monkeypatch.setattr("results.tables.trials.write_tables", full)
    result = veer("trials", journal_run.path)
    assert "complete" in result.output
    assert "tables not written:" in result.output


@pytest.mark.parametrize(
    "arguments", [["trials"], ["show", 1], ["report"], ["audit"]], ids=lambda words: words[0]
)
def test_a_command_reads_the_journal_once(arguments: list[object], tmp_path: Path) -> None:
    run = write_made_up_run(tmp_path / "run")
    command, *rest = arguments
    with counted_reads(run.path) as reads:
        any_command(command, run.path, *rest)
    assert len(reads) == 1


@pytest.mark.slow
def test_export_and_benchmark_read_the_journal_once(veer: Veer, trained_run: RunFolder) -> None:
    for arguments in (["export"], ["benchmark", "--top", 1, "--rounds", 1]):
        command, *rest = arguments
        with counted_reads(trained_run.path) as reads:
            veer(command, trained_run.path, *rest)
        assert len(reads) == 1
