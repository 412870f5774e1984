"""optuna-dashboard over a run: what it answers over HTTP while the journal grows."""

import builtins
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import JournalStorage
from optuna.trial import TrialState

from results.analysis.run_view import RunView
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.search_records import SearchStarted
from results.records.trial_records import TrialEnded
from results.trackers.dashboard import DashboardServer, ReadOnlyFile
from results.trackers.live_files import LiveFiles
from results.trackers.study import OBJECTIVE, STUDY_NAME, write_study
from spaces.dimensions import Dimension
from spaces.files.errors import ConfigError, RunError
from tests.search.commands import veer
from tests.worlds.journal_writing import DIMENSIONS, report, start
from tests.worlds.views import rebuild_study

# optuna-dashboard keeps what it has read so long.
KEPT_S = 2.1
PARAMS = {"loss__distillation": "cosine", "loss__alpha": 0.7, "model__num_blocks": 4}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """That of a run with one trial, which runs; the study grows with it."""
    with Journal(tmp_path / "run" / "journal.jsonl") as opened:
        lists = {"train_list": "train.txt", "val_list": "val.txt"}
        opened.append(SearchStarted(settings={"corpus": lists}, provenance={}))
        run = RunFolder(tmp_path / "run")
        opened.follow(LiveFiles(run, DIMENSIONS, pytest.fail).take)
        start(opened, 0, **PARAMS, training__lr=1e-3)
        report(opened, 0, 1, 20.0, veer_low_pct=17.0, veer_high_pct=23.5)
        yield opened


@pytest.fixture
def server(journal: Journal) -> Iterator[DashboardServer]:
    with DashboardServer(RunFolder(journal.path.parent), 0) as serving:
        threading.Thread(target=serving.serve_forever, args=(0.1,), daemon=True).start()
        yield serving
        serving.shutdown()


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def answer(server: DashboardServer, path: str, **more: Any) -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.server_port}{path}", **more)
    try:
        with urllib.request.urlopen(request, timeout=30) as found:
            return found.status, found.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def asked(server: DashboardServer, path: str) -> Any:
    status, body = answer(server, path)
    assert status == 200, body
    return json.loads(body)


def test_trials_appear_and_go_on_while_the_journal_grows(
    server: DashboardServer, journal: Journal
) -> None:
    (study,) = asked(server, "/api/studies")["study_summaries"]
    assert study["study_name"] == STUDY_NAME
    attributes = {each["key"]: each["value"] for each in study["user_attrs"]}
    assert attributes == {"run": "run", "corpus": "train.txt, val.txt"}

    path = f"/api/studies/{study['study_id']}"
    detail = asked(server, path)
    assert detail["objective_names"] == [OBJECTIVE]
    (trial,) = detail["trials"]
    assert trial["state"] == "Running"
    assert trial["intermediate_values"] == [{"step": 1, "value": 20.0}]
    params = {each["name"]: each["param_external_value"] for each in trial["params"]}
    assert params["loss.distillation"] == "cosine"
    assert float(params["loss.alpha"]) == 0.7
    attributes = {each["key"]: each["value"] for each in trial["user_attrs"]}
    assert attributes["VEER interval, %"] == "17.00 to 23.50"
    assert attributes["parameters"] == "1000"
    assert attributes["config"] == "trials/0000/config.yaml"

    report(journal, 0, 2, 12.5)
    journal.append(TrialEnded(trial=0, state="stopped_early", reason="rung 2"))
    start(journal, 1, **PARAMS, training__lr=2e-3)
    time.sleep(KEPT_S)
    first, second = asked(server, path)["trials"]
    assert first["state"] == "Pruned"
    assert first["intermediate_values"] == [{"step": 1, "value": 20.0}, {"step": 2, "value": 12.5}]
    attributes = {each["key"]: each["value"] for each in first["user_attrs"]}
    assert (attributes["how it ended"], attributes["why"]) == ("stopped early", "rung 2")
    assert second["state"] == "Running"


def test_its_page_and_scripts_are_there(server: DashboardServer) -> None:
    status, page = answer(server, "/dashboard/studies/0")
    assert status == 200
    assert b"/static/bundle.js" in page
    status, _ = answer(server, "/static/bundle.js", headers={"Accept-Encoding": "identity"})
    assert status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/studies/0"),
        ("POST", "/api/studies"),
        ("PUT", "/api/studies/0/0/note"),
        ("POST", "/api/trials/0/user-attrs"),
        ("POST", "/api/studies/0/rename"),
    ],
)
def test_what_would_change_it_is_refused(
    server: DashboardServer, journal: Journal, method: str, path: str
) -> None:
    before = contents(journal.path.parent)
    body = b'{"study_name": "x", "directions": ["minimize"], "body": "x", "version": 1}'
    headers = {"Content-Type": "application/json"}
    status, answered = answer(server, path, method=method, data=body, headers=headers)
    assert status == 405
    assert json.loads(answered)["reason"] == "veer dashboard is read-only"
    assert len(asked(server, "/api/studies")["study_summaries"]) == 1
    assert contents(journal.path.parent) == before


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1:1"])
def test_a_page_that_asks_by_another_name_is_refused(server: DashboardServer, host: str) -> None:
    headers = {"Host": host.format(port=server.server_port)}
    status, answered = answer(server, "/api/studies", headers=headers)
    assert status == 403
    assert json.loads(answered)["reason"] == "open the address that veer dashboard printed"


def test_it_listens_only_on_loopback(server: DashboardServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/dashboard/studies/0"


def test_a_port_that_is_taken_is_named(server: DashboardServer, journal: Journal) -> None:
    port = server.server_port
    with pytest.raises(ConfigError, match=rf"--port must be a free port .* got {port}: "):
        DashboardServer(RunFolder(journal.path.parent), port)


def test_without_optuna_dashboard_the_fix_is_named(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "optuna_dashboard":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"not installed: pip install 'veer\[dashboard\]'"):
        DashboardServer(RunFolder(journal.path.parent), 0)


def test_the_shown_study_is_the_rebuilt_one(
    journal_run: RunFolder, dimensions: tuple[Dimension, ...]
) -> None:
    records = journal_run.read()
    write_study(RunView.read(journal_run), dimensions)
    storage = JournalStorage(ReadOnlyFile(journal_run))
    rebuilt = rebuild_study(records, dimensions)
    assert [each.user_attrs for each in storage.get_all_trials(0)] == [
        each.user_attrs for each in rebuilt.trials
    ]
    with Journal(journal_run.journal) as journal:
        journal.append(TrialEnded(trial=4, state="complete", reason=None))
    # Replaced as a whole, as at the end of a search: what was read before stays the same.
    write_study(RunView.read(journal_run), dimensions)
    assert storage.get_all_trials(0)[4].state is TrialState.COMPLETE
    before = contents(journal_run.path)
    with pytest.raises(RunError, match="is read-only; got 1 entries to write"):
        storage.set_study_user_attr(0, "a", 1)
    assert contents(journal_run.path) == before


def test_a_study_that_is_missing_or_a_link_is_not_made(journal: Journal, tmp_path: Path) -> None:
    run = RunFolder(journal.path.parent)
    run.study.unlink()
    with pytest.raises(RunError, match=r"optuna-journal.log must be a file; `veer resume` writes"):
        DashboardServer(run, 0)
    assert not run.study.exists()
    run.study.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match=r"optuna-journal.log must be a file"):
        DashboardServer(run, 0)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("line", [b"[1, 2\n", b"{}\n", b"7\n", b'{"op_code": 1, "study_id": 9}\n'])
def test_a_damaged_study_is_refused(journal: Journal, line: bytes) -> None:
    run = RunFolder(journal.path.parent)
    content = run.study.read_bytes()
    run.study.write_bytes(line + content)
    with pytest.raises(RunError, match=r"optuna-journal.log: cannot be read \(.*delete it"):
        DashboardServer(run, 0)


def test_a_damaged_journal_is_refused(journal: Journal) -> None:
    with journal.path.open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(RunError, match=r"journal.jsonl:4: .* restore the file from a copy"):
        DashboardServer(RunFolder(journal.path.parent), 0)


def test_the_command_names_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run folder"):
        veer("dashboard", tmp_path, "--no-browser")
