"""The results of a run as lines of text: a job prints them, another machine reads its log.

The machine that sends a search may share no storage with the cluster. Each file is a line with its
name, size and SHA-256, and lines of base64; nothing is kept of a file that does not agree.
"""

import base64
import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from results.journal.run_folder import RunFolder
from search.remote.working_copy import copy_to_read
from spaces.files.atomic import write_bytes_atomically
from spaces.files.errors import RunError, VeerError

MARK, END = "veer-file:", "veer-files-end"
LINE_CHARS = 4096


def results_of(run: RunFolder) -> list[Path]:
    """Return the tables, the page, the settings and the journal of a run, as far as they exist."""
    files = (
        run.trials_table, run.epochs_table, run.front, run.report, run.settings, run.space,
        run.journal, run.log,
    )  # fmt: skip
    return [file for file in files if file.is_file()]


def file_lines(files: Iterable[Path]) -> Iterator[str]:
    """Yield the lines that stand for files."""
    for file in files:
        content = file.read_bytes()
        yield f"{MARK} {file.name} {len(content)} {hashlib.sha256(content).hexdigest()}"
        text = base64.b64encode(content).decode()
        yield from (text[at : at + LINE_CHARS] for at in range(0, len(text), LINE_CHARS))
    yield END


def write_files(log: str, folder: Path) -> list[Path]:
    """Write the files that a log has into a folder, each in one step.

    Args:
        log: The log of the job; other lines before the first file are skipped.
        folder: Created if missing.

    Raises:
        RunError: The log has no files, is cut off, or a file does not agree with its hash.
    """
    _, found, text = log.partition(f"{MARK} ")
    text, ended, _ = text.partition(f"\n{END}")
    if not found or not ended:
        raise RunError("the results did not arrive: " + (log.strip()[-500:] or "an empty log"))
    contents: dict[str, bytes] = {}
    for part in text.split(f"\n{MARK} "):
        head, _, body = part.partition("\n")
        name, size, digest = head.split(" ")
        content = base64.b64decode(body.replace("\n", ""), validate=True)
        if len(content) != int(size) or hashlib.sha256(content).hexdigest() != digest:
            raise RunError(f"{name}: {len(content)} of {size} bytes arrived, or others; try again")
        # A name, no path: a log must not decide where this machine writes.
        contents[Path(name).name] = content
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_bytes_atomically(folder / name, content)
    return [folder / name for name in contents]


if __name__ == "__main__":
    try:
        for line in file_lines(results_of(RunFolder(copy_to_read(Path(sys.argv[1]))))):
            print(line)  # noqa: T201 - the output is the result
    except VeerError as error:
        sys.exit(f"error {error}")
