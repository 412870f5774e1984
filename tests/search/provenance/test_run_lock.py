import logging
import platform
import subprocess
import sys

import pytest

from results.journal.run_folder import JOURNAL
from search.provenance.run_lock import leaving_no_trace, logging_to, run_lock
from spaces.files.errors import ConfigError, RunError

HOLD = """
import sys, pathlib
from search.provenance.run_lock import run_lock
with run_lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_second_search_on_a_folder_is_refused_until_the_first_dies(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        message = rf"in use by another search \(process {other.pid} on {platform.node()}\)"
        with pytest.raises(RunError, match=message), run_lock(tmp_path):
            pass
        other.kill()
    with run_lock(tmp_path):
        pass


def test_log_goes_to_the_file_only(tmp_path, capsys):
    logger = logging.getLogger("search.test")
    with logging_to(tmp_path / "log.txt", print):
        logger.warning("within")
    assert "WARNING search.test: within" in (tmp_path / "log.txt").read_text()
    assert "within" not in capsys.readouterr().err
    assert not logging.getLogger("search").handlers


@pytest.mark.parametrize("error", [ConfigError("refused"), KeyboardInterrupt("refused")])
@pytest.mark.parametrize("before", [(), ("notes.txt",), (JOURNAL,)])
def test_start_that_is_refused_or_interrupted_leaves_the_folder_as_it_was(tmp_path, before, error):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in before:
        (folder / name).write_text("there before")
    log = folder / "log.txt"

    def start() -> None:
        with run_lock(folder), leaving_no_trace(folder, log), logging_to(log, print):
            raise error

    with pytest.raises(type(error), match="refused"):
        start()
    if JOURNAL in before:
        assert {file.name for file in folder.iterdir()} == {JOURNAL, "log.txt", ".lock"}
    else:
        assert folder.exists() == bool(before)
        assert not before or [file.name for file in folder.iterdir()] == list(before)
