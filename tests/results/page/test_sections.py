"""Sections of the page on the search as a whole."""

from pathlib import Path

from results.analysis.run_view import RunView
from results.audit.findings import Audit
from results.journal.run_folder import RunFolder
from results.page.sections import audit_section, cost_section, search_sections
from search.review.audit_run import audit_search
from spaces.files.errors import RunError
from tests.worlds.made_up_run import write_made_up_run
from tests.worlds.views import view_of


def test_the_audit_is_described_and_listed_by_rung(tmp_path: Path) -> None:
    view = RunView.read(write_made_up_run(tmp_path / "run", 30))
    section = audit_section(view, audit_search)
    found = audit_search(view)
    assert f"{found.cost.num_stopped} trials stopped early" in section.lines[0]
    assert section.table is not None
    rows = [[cell.text for cell in cells] for cells in section.table.rows]
    assert [row[0] for row in rows] == ["3", "9"]
    assert [int(row[2]) for row in rows] == [rung.num_stopped for rung in found.rungs]


def test_a_failed_audit_states_the_reason() -> None:
    def audit(view: RunView) -> Audit:
        raise RunError(f"no settings in {len(view.records)} records")

    section = audit_section(view_of([]), audit)
    assert section.lines == ("This is unknown: no settings in 0 records",)
    assert section.table is None


def test_the_cost_is_that_of_all_trials_and_of_its_parts(tmp_path: Path) -> None:
    records = write_made_up_run(tmp_path / "run", 30).read()
    section = cost_section(view_of(records).cost)
    assert section.table is not None
    rows = {cells[0].text: [cell.text for cell in cells[1:]] for cells in section.table.rows}
    num_epochs = sum(record.event == "epoch" for record in records)
    assert rows["all trials"][:2] == [f"{num_epochs:,}", f"{4000 * num_epochs:,}"]
    assert set(rows) == {"all trials", "stopped early", "failed"}


def test_a_search_without_an_epoch_has_no_such_section(shared_run: RunFolder) -> None:
    view = RunView.read(shared_run)
    assert [each.id for each in search_sections(view, None)] == ["cost"]
    assert [each.id for each in search_sections(view, audit_search)] == ["audit", "cost"]
    started = [each for each in view.records if each.event != "epoch"]
    assert list(search_sections(view_of(started), audit_search)) == []
