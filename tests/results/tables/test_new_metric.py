"""A new metric is one field in one file: what is made of epochs has it without further code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FIELD = (
    "    gradient_norm: Annotated[float | None, Column(heading='gradient\\nnorm', decimals=1, "
    "unit='N', meaning='Mean norm.', after='lr')] = None\n"
)
# The module of metrics with one more line, before anything else imports it.
WITH_FIELD = f"""
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
name, path = "trainable.report.epoch_report", Path("trainable/report/epoch_report.py")
module = module_from_spec(spec_from_file_location(name, path))
sys.modules[name] = module
before, first, after = path.read_text().partition("    loss_total: Annotated")
exec(compile(before + {FIELD!r} + first + after, path, "exec"), module.__dict__)
"""
USES = """
import json
from results.journal.journal import Journal, read_journal
from results.records.trial_records import EpochEnded
from results.tables.trials import epochs_table
from results.terminal.trial import find_trial, trial_view
from results.trackers.tensorboard import event_files
from search.review.epoch_comparison import COMPARED
from search.ray_tune.scheduler import REPORT_FIELDS
from tests.docs_pages.tables import tables_page
from tests.results.terminal.test_cells import text_of
from tests.worlds.journals import made_record
from tests.worlds.views import view_of
from trainable.cost.checkpoint_size import longest_report
from trainable.report.epoch_log import TENSORBOARD_FIELDS

path = Path(sys.argv[1]) / "journal.jsonl"
with Journal(path) as journal:
    config = {"loss": {"distillation": "none"}}
    journal.append(made_record("trial_started", trial=0, config=config))
    journal.append(EpochEnded(trial=0, epoch=1, veer_pct=9.0, lr=0.1, gradient_norm=2.25))
    journal.append(EpochEnded(trial=0, epoch=2, veer_pct=8.0, lr=0.1, gradient_norm=3.25))
view = view_of(read_journal(path))
try:
    EpochEnded(trial=0, epoch=1, veer_pct=9.0, gradient_norm="x")
except ValueError as error:
    refusal = str(error)
table = epochs_table(view)
field = table.schema.field("gradient_norm")
print(json.dumps({
    "journal": path.read_text().count('"gradient_norm":3.25'),
    "record": view.records[-1].gradient_norm,
    "refusal": refusal,
    "neighbours": table.column_names[table.column_names.index("lr"):][:3],
    "type": str(field.type),
    "metadata": {key.decode(): value.decode() for key, value in field.metadata.items()},
    "values": table.column("gradient_norm").to_pylist(),
    "terminal": text_of(trial_view(view, find_trial(view.histories, 0))),
    "tag": any(b"gradient_norm" in content for content in event_files(view, ()).values()),
    "train": "gradient_norm" in TENSORBOARD_FIELDS,
    "compared": "gradient_norm" in COMPARED,
    "reported": "gradient_norm" in REPORT_FIELDS,
    "sized": longest_report(0).gradient_norm,
    "docs": [line for line in tables_page().splitlines() if "gradient_norm" in line],
}))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = str(tmp_path_factory.mktemp("run"))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITH_FIELD + USES, folder],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": folder},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_the_journal_has_the_metric_and_checks_it(found: dict[str, object]) -> None:
    assert (found["journal"], found["record"]) == (1, 3.25)
    assert found["refusal"] == "gradient_norm of epoch must be a number or null, got 'x'"


def test_the_epochs_table_has_it_in_its_place(found: dict[str, object]) -> None:
    assert found["neighbours"] == ["lr", "gradient_norm", "num_samples"]
    assert (found["type"], found["values"]) == ("double", [2.25, 3.25])
    assert found["metadata"] == {"unit": "N", "meaning": "Mean norm."}
    assert found["docs"] == ["| `gradient_norm` | double | N | Mean norm. |"]


def test_the_terminal_shows_it_with_heading_and_decimals(found: dict[str, object]) -> None:
    lines = str(found["terminal"]).splitlines()
    heading = next(number for number, line in enumerate(lines) if "gradient" in line)
    assert "norm" in lines[heading + 1]
    assert "2.2" in " ".join(lines)
    assert "2.25" not in " ".join(lines)


def test_tensorboard_search_and_reproduction_have_it(found: dict[str, object]) -> None:
    uses = ("tag", "train", "compared", "reported")
    assert {name: found[name] for name in uses} == dict.fromkeys(uses, True)
    assert found["sized"] == pytest.approx(1 / 3)
