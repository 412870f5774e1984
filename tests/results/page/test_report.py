"""The page of a run shows the content of its journal."""

import json
import os
import re
import subprocess
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from results.analysis.run_view import RunView
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.page.parts import search_starts
from results.page.report import write_report
from results.records.search_records import SearchEnded, SearchStarted
from results.records.trial_records import (
    FAULT_KINDS,
    EpochEnded,
    InfrastructureFault,
    TrialEnded,
    TrialStarted,
)
from spaces.files.errors import RunError
from tests.results.pages import Page, rich_records, write_run
from tests.worlds.journals import made_record
from tests.worlds.views import view_of


@pytest.fixture
def page_of(tmp_path: Path) -> Callable[[RunFolder], Page]:
    return lambda run: Page(write_report(RunView.read(run), tmp_path / "page" / "report.html"))


def test_the_page_has_no_link_or_event_handler_and_runs_only_what_its_policy_names(
    journal_run: RunFolder, page_of: Callable[[RunFolder], Page]
) -> None:
    page = page_of(journal_run)
    for tag, attributes in page.elements:
        names = {name for name, _ in attributes}
        assert not any(name.startswith("on") or name in ("src", "style") for name in names)
        assert tag not in ("link", "img", "iframe", "object", "base", "form")
    scripts = [dict(attributes) for tag, attributes in page.elements if tag == "script"]
    assert all(each.get("type") == "application/json" for each in scripts if each)
    run = [text for text, each in zip(page.scripts, scripts, strict=True) if not each]
    hashes = {b64encode(sha256(text.encode()).digest()).decode() for text in run}
    assert len(hashes) == 3
    assert set(re.findall(r"sha256-([^']+)'", page.policy.split("; ")[1])) == hashes
    ids = {value for _, attributes in page.elements for name, value in attributes if name == "id"}
    links = [dict(attributes)["href"] for tag, attributes in page.elements if tag == "a"]
    assert links
    trials = {f"trial-{number}" for number in range(7)}
    assert all(link is not None and link[0] == "#" and link[1:] in ids | trials for link in links)


def test_commands_of_a_folder_of_any_name_run(
    journal_run: RunFolder, tmp_path: Path, page_of: Callable[[RunFolder], Page]
) -> None:
    folder = journal_run.path.rename(tmp_path / "it's; touch injected `x` $(y)\x1b\u202e<b>")
    page = page_of(RunFolder(folder))
    words = []
    for command in page.code:
        script = f"veer() {{ printf '%s\\0' \"$@\"; }}; {command}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
        words.append(os.fsdecode(done.stdout).split("\0")[:-1])
    assert words == [["export", str(folder), "--trial", "5"], ["resume", str(folder)]]


def test_the_page_of_a_run_without_an_end_states_that(
    journal_run: RunFolder, page_of: Callable[[RunFolder], Page]
) -> None:
    with journal_run.journal.open("a") as file:
        file.write('{"event":"epoch","trial":4,"ep')
    text = page_of(journal_run).text
    state = "Running when this page was written, or killed: the journal has no end of the search"
    assert state in text


@pytest.mark.parametrize(
    ("reason", "words", "goes_on"),
    [
        ("finished", "Finished: every trial has ended", False),
        ("target_met", "Finished: a trial met the target", False),
        ("time_limit", "Stopped at its time limit", True),
        ("failing", "Stopped: too many trials failed", True),
        ("disk_full", "Stopped: the disk was full", True),
    ],
)
def test_the_end_is_shown_with_the_next_commands(
    reason: str,
    words: str,
    goes_on: bool,
    journal_run: RunFolder,
    page_of: Callable[[RunFolder], Page],
) -> None:
    with Journal(journal_run.journal) as journal:
        journal.append(SearchEnded(reason=reason))
    page = page_of(journal_run)
    assert words in page.text
    assert any(command.startswith("veer resume ") for command in page.code) is goes_on


def test_a_model_of_ones_own_is_exported_with_permission(
    tmp_path: Path, page_of: Callable[[RunFolder], Page]
) -> None:
    with Journal(tmp_path / "run" / "journal.jsonl") as journal:
        config = {"loss": {"distillation": "none"}, "model": {"family": "mine.net:Net"}}
        journal.append(TrialStarted(trial=0, params={}, config=config, config_hash="", seed=0))
        journal.append(EpochEnded(trial=0, epoch=1, veer_pct=9.0))
        journal.append(TrialEnded(trial=0, state="complete", reason=None))
    page = page_of(RunFolder(tmp_path / "run"))
    assert [command.endswith(" --allow-code") for command in page.code] == [True, True]


def test_faults_are_described_with_counts(
    journal_run: RunFolder, page_of: Callable[[RunFolder], Page]
) -> None:
    assert "No faults are recorded" in page_of(journal_run).text
    with Journal(journal_run.journal) as journal:
        for trial in (0, 5):
            lost = {"kind": "node_lost", "epoch": 2, "message": f"n{trial} is gone"}
            journal.append(InfrastructureFault(trial=trial, **lost))
        journal.append(InfrastructureFault(trial=1, kind="hung", epoch=1, message="silence"))
    text = page_of(journal_run).text
    assert "No faults" not in text
    assert "2 node_lost (trials 0, 5)" in text
    assert "1 hung (trial 1)" in text
    for kind in ("node_lost", "hung"):
        assert FAULT_KINDS[kind] in text
    assert "n5 is gone" in text


def test_the_best_trial_is_set_against_teacher_and_criteria(
    shared_run: RunFolder, page_of: Callable[[RunFolder], Page]
) -> None:
    lines = page_of(shared_run).text.split("\n")
    best = lines[lines.index("Best trial", lines.index("Best trial") + 1) :]
    assert best[2:11] == [
        "VEER10.25 %after epoch 1 of 1",
        "VEER of the teacher11.50 %",
        "trial1",
        "median of the last five epochs10.25 %"
        "the VEER is that of the luckiest epoch, so it is too low",
        "meetstargetbaseline 12 %, target 11 %, stretch 10 %",
        "parameters1,001",
        "",
        "Its sampled values",
        "",
    ]
    assert best[11] == "presetno_distillation"


def test_the_trial_table_has_the_rows_and_columns_of_veer_trials(
    shared_run: RunFolder, page_of: Callable[[RunFolder], Page]
) -> None:
    text = page_of(shared_run).text
    heading = "ranktrialVEER %presetstateepochsparametersmeetsmedian of last 5last VEER %"
    assert f"{heading}distill shareteacher cosinebest epochnote" in text
    assert "1= 110.25alpha_0complete11,001target10.2510.25--1" in text
    assert "-24.00v1_msediverged11,002-4.004.000.20000.5001loss is nan" in text
    assert "warning: students without distillation already beat the teacher" in text


def test_the_embedded_data_are_the_trials(
    journal_run: RunFolder, page_of: Callable[[RunFolder], Page]
) -> None:
    data = json.loads(page_of(journal_run).embedded["data"])
    trials = data["trials"]
    assert [each["trial"] for each in trials] == list(range(7))
    assert (trials[0]["epochs"], trials[0]["veer_pct"]) == ([1, 2, 3], [20.0, 12.0, 13.0])
    assert (trials[2]["epochs"], trials[3]["epochs"]) == ([1], [])
    facts = {data["names"][name]: text for name, text in trials[0]["facts"]}
    assert facts["VEER"] == "12.00 %, after epoch 2 of 3"
    assert facts["after the last epoch"] == "13.00 %"
    sampled = {data["names"][name]: text for name, text in trials[0]["sampled"]}
    assert sampled["loss.alpha"] == "0.7"


def test_every_start_of_the_search_is_on_the_page(
    journal_run: RunFolder, tmp_path: Path, page_of: Callable[[RunFolder], Page]
) -> None:
    run = write_run(tmp_path / "full", rich_records(journal_run), b"model: {}")
    page = page_of(run)
    assert "veer search demo" in page.text
    assert "Resumed at 1970-01-01 00:16:40 UTC" in page.text
    for fact in ("veer search s.yaml --run 'my run'", "versions torch2.11.0", "git commitabc"):
        assert fact in page.text
    assert "lists train sha256ab12" in page.text
    assert "rungsepochs 3, 9" in page.text
    assert "model: {}" in page.folded


def test_provenance_that_did_not_change_is_shown_once() -> None:
    provenances = [
        {"command": "veer search", "host": "a", "python": "3.12"},
        {"command": "veer resume", "host": "a"},
        {"command": "veer resume", "host": "a"},
    ]
    events = ("search_started", "search_resumed", "search_resumed")
    records = [
        made_record(event, provenance=each)
        for event, each in zip(events, provenances, strict=True)
    ]
    stages = search_starts(view_of(records))
    assert [(dict(stage.facts), stage.rest) for stage in stages] == [
        (provenances[0], ""),
        ({"command": "veer resume", "python": "-"}, "Everything else as before."),
        ({}, "Everything as before."),
    ]


def test_a_run_without_trials_has_a_page(
    tmp_path: Path, page_of: Callable[[RunFolder], Page]
) -> None:
    with Journal(tmp_path / "run" / "journal.jsonl") as journal:
        journal.append(SearchStarted(settings={}, provenance={}))
    text = page_of(RunFolder(tmp_path / "run")).text
    assert "No trial has started yet." in text
    assert "The run folder has no space.yaml." in text
    (tmp_path / "run" / "journal.jsonl").write_text("")
    assert "Not started" in page_of(RunFolder(tmp_path / "run")).text


def test_a_space_file_that_is_far_too_long_is_cut(
    journal_run: RunFolder, page_of: Callable[[RunFolder], Page]
) -> None:
    journal_run.space.write_text("x" * 100_001)
    assert "(cut here: longer than 100,000 bytes)" in page_of(journal_run).folded
    journal_run.space.write_text("x" * 100_000)
    assert "cut here" not in page_of(journal_run).folded


def test_a_space_file_that_is_a_link_is_not_followed(
    journal_run: RunFolder, tmp_path: Path, page_of: Callable[[RunFolder], Page]
) -> None:
    (tmp_path / "secret").write_text("a private key")
    journal_run.space.symlink_to(tmp_path / "secret")
    page = page_of(journal_run)
    assert "private key" not in page.text + page.folded
    assert "The run folder has no space.yaml." in page.text


def test_the_page_lies_in_the_run_folder_and_replaces_itself_in_one_step(
    journal_run: RunFolder,
) -> None:
    before = set(journal_run.path.iterdir())
    assert write_report(RunView.read(journal_run)) == journal_run.path / "report.html"
    journal_run.report.write_text("half a pa")
    write_report(RunView.read(journal_run))
    assert journal_run.report.read_text().endswith("</html>\n")
    assert set(journal_run.path.iterdir()) - before == {journal_run.report}


def test_a_page_that_cannot_be_written_is_an_error_that_names_it(
    journal_run: RunFolder, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunError, match=r"folder: cannot write the page: Is a directory"):
        write_report(RunView.read(journal_run), tmp_path / "folder")
