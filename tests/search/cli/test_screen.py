"""Text from any source is printed as plain text, with its control characters escaped."""

import codecs
import io
from pathlib import Path

import pytest
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from results.journal.journal import Journal
from results.records.search_records import InfeasibleSuggestion, SearchStarted, TeacherRecord
from results.records.trial_records import EpochEnded, InfrastructureFault, TrialEnded, TrialStarted
from search.cli import app as cli
from search.cli import console as screen
from search.cli.console import Screen
from search.cli.streams import FALLBACK, _replace
from search.run.progress import SearchView
from tests.search.commands import veer
from trainable.lists.parsing import parse_train_list

# What a hostile file might hold: markup that would change the colour or end what was not begun,
# a cleared screen, a window's title, a carriage return, and text turned round.
HOSTILE = "[red]x[/] [/bold] :boom: \x1b[2J\x1b]0;owned\x07 \r\u202egpj.\x9b31m"
SHOWN = "[red]x[/] [/bold] :boom: \\x1b[2J\\x1b]0;owned\\x07 \\r\\u202egpj.\\x9b31m"


def printed(shown: object) -> str:
    out = io.StringIO()
    Screen(file=out, width=200, force_terminal=False).print(shown)
    return out.getvalue()


def table(cell: object) -> Table:
    made = Table("heading", title=str(cell), caption=str(cell))
    made.add_row(cell)  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize(
    "shown",
    [HOSTILE, Text(HOSTILE), table(HOSTILE), table(Text(HOSTILE)), Syntax(HOSTILE, "yaml")],
    ids=["text", "styled text", "table", "table of texts", "code"],
)
def test_markup_and_control_characters_are_shown(shown: object) -> None:
    text = printed(shown)
    # Rich itself drops the bell and the carriage return of styled text, and wraps it.
    assert "[red]x[/] [/bold] :boom: \\x1b[2J\\x1b]0;owned" in text
    assert "\\u202egpj.\\x9b31m" in text
    assert not {"\x1b", "\x07", "\r", "\u202e", "\x9b"} & set(text)


def test_colours_of_ours_still_come_out_on_a_terminal() -> None:
    out = io.StringIO()
    shown = Screen(file=out, force_terminal=True, color_system="standard", width=80)
    shown.print(Text("\x1b[2J", "red"))
    assert out.getvalue() == "\x1b[31m\\x1b[2J\x1b[0m\n"


def test_a_name_that_no_terminal_can_encode_is_printed() -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    Screen(file=out, width=80).print("wav/\udcff.wav")
    out.flush()
    assert out.buffer.getvalue() == b"wav/\\udcff.wav\n"  # type: ignore[attr-defined]


def test_a_bars_title_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(screen, "console", Screen(file=out, width=200))
    with screen.training_bar(HOSTILE, 3):
        pass
    assert SHOWN[:40] in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_lines_of_a_search_are_literal_text() -> None:
    out = io.StringIO()
    SearchView(Screen(file=out, width=200)).print_line(HOSTILE)
    assert SHOWN in out.getvalue()


@pytest.fixture
def hostile_run(tmp_path: Path) -> Path:
    """A run whose every text is hostile."""
    with Journal(tmp_path / "run" / "journal.jsonl") as journal:
        settings = {"success": {HOSTILE: 50.0}}
        journal.append(SearchStarted(settings=settings, provenance={HOSTILE: HOSTILE}))
        journal.append(TeacherRecord(path=HOSTILE, veer_pct=5.0, num_params=3, sha256=HOSTILE))
        violation = {"limit": HOSTILE, "value": 2, "allowed": 1, "text": HOSTILE}
        journal.append(InfeasibleSuggestion(params={}, violations=[violation]))
        for trial, state in enumerate(("complete", "failed")):
            journal.append(
                TrialStarted(
                    trial=trial,
                    params={HOSTILE: HOSTILE, "loss.kind": f"{trial}{HOSTILE}"},
                    config={"loss": {"distillation": "none"}, HOSTILE: HOSTILE},
                    config_hash=HOSTILE,
                    seed=trial,
                )
            )
            journal.append(EpochEnded(trial=trial, epoch=1, veer_pct=4.0))
            journal.append(
                InfrastructureFault(kind=HOSTILE, trial=trial, epoch=1, message=HOSTILE)
            )
            journal.append(TrialEnded(trial=trial, state=state, reason=HOSTILE))
    return tmp_path / "run"


@pytest.mark.parametrize(
    "arguments",
    [
        ("trials",),
        ("trials", "--columns", "trial,reason,config_hash,loss.kind"),
        ("show", 0),
        ("show", 1),
    ],
)
def test_a_hostile_run_is_shown_as_text(hostile_run: Path, arguments: tuple[object, ...]) -> None:
    command, *rest = arguments
    result = veer(command, hostile_run, *rest)
    assert result.exit_code == 0, result.exception
    assert not {"\x1b", "\x07", "\r", "\u202e", "\x9b"} & set(result.output)
    # A cell folds it wherever the column ends.
    assert "\\x1b[2J" in "".join(result.output.split())


def test_an_error_is_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(cli, "errors", Screen(file=out, width=200))
    monkeypatch.setattr("sys.argv", ["veer", "data", "check", str(tmp_path / HOSTILE)])
    with pytest.raises(SystemExit, match="2"):
        cli.run_app()
    assert out.getvalue().startswith("error ")
    assert SHOWN in out.getvalue()
    assert capsys.readouterr().err == ""


def test_a_hostile_speaker_is_named_as_text(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("\x1b[2J[/bold] gone.wav\n", encoding="utf-8")
    faults: list[str] = []
    parse_train_list(tmp_path / "list.txt", tmp_path, faults)
    assert "\x1b" not in printed("\n".join(faults))


def test_a_long_evaluation_is_reported_where_no_bar_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(screen, "console", Screen(file=out, width=200))
    with screen.training_bar("run", 3) as bar:
        bar.evaluation(1, 4)
        assert "evaluation" not in out.getvalue()
        monkeypatch.setattr(screen, "QUIET_S", 0.0)
        bar.evaluation(2, 4)
        assert "evaluation: 2 of 4" in out.getvalue()


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("≈ 9.61 ± 0.12 ▁▄█", "ascii", b"~ 9.61 +- 0.12 _:#"),
        ("≈ 9.61 ± 0.12", "latin-1", b"~ 9.61 \xb1 0.12"),
        ("zoë/話者 \udcff", "ascii", b"zo\\xeb/\\u8a71\\u8005 \\udcff"),
        ("zoë \udcff", "utf-8", b"zo\xc3\xab \\udcff"),
    ],
)
def test_what_an_encoding_lacks_falls_back(text: str, encoding: str, shown: bytes) -> None:
    codecs.register_error(FALLBACK, _replace)
    assert text.encode(encoding, FALLBACK) == shown


def test_a_pipe_gets_lines_with_an_estimate_in_place_of_a_bar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(screen, "console", Screen(file=out, force_terminal=False, width=80))
    now_s = [100.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now_s[0])
    with screen.progress_bar("utterances") as show:
        for done in (1, 2, 3):
            now_s[0] += screen.QUIET_S / 1.5
            show(done, 4)
    lines = [line for line in out.getvalue().splitlines() if "about" in line]
    assert lines == ["utterances: 2 of 4, about 40 s left"]
