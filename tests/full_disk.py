"""A disk that is really full, and what writes to it: run as a process of its own.

    python -m tests.full_disk CASE FOLDER mounted|limited [MORE]

FOLDER is a tmpfs of a few hundred kB. Where the system allows no user to mount one, it is any
folder, and the process may write no file beyond a size (EFBIG in place of ENOSPC). The values that
the test compares are printed as JSON, since the tmpfs goes with the process.
"""

import hashlib
import json
import logging
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from results.records.search_records import SearchEnded, SearchResumed
from results.records.trial_records import TrialEnded
from spaces.files.errors import DiskFullError

SIZE = "400k"
FILLER = "filler"
MOUNT = f'mount -t tmpfs -o size={SIZE} none "$1" && shift && exec "$@"'


def can_mount(folder: Path) -> bool:
    """Whether this system lets a process mount a disk of its own."""
    command = ["unshare", "-rm", "sh", "-c", MOUNT, "sh", str(folder), "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def on_a_small_disk(
    folder: Path, command: list[str], *, is_limited: bool = False
) -> tuple[list[str], str]:
    """The command with an empty small disk in the folder's place, and which kind that is.

    Args:
        folder: Where the disk is put.
        command: What is run.
        is_limited: Whether to limit the size of files even where a disk can be mounted.
    """
    if not is_limited and can_mount(folder):
        return ["unshare", "-rm", "sh", "-c", MOUNT, "sh", str(folder), *command], "mounted"
    return command, "limited"


def run_case(name: str, folder: Path, *more: object, is_limited: bool = False) -> dict[str, Any]:
    """Run a case in a process of its own, and return what it printed."""
    case = [sys.executable, "-m", "tests.full_disk", name, str(folder)]
    command, kind = on_a_small_disk(folder, case, is_limited=is_limited)
    done = subprocess.run(
        [*command, kind, *map(str, more)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)) | {"stderr": done.stderr, "kind": kind}


class Disk:
    """The folder, its content, and how it is filled and emptied."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self._is_mounted = kind == "mounted"

    def content(self) -> dict[str, str]:
        """Every file but the filler, with its SHA-256; folders end in a slash."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            name = str(path.relative_to(self.folder))
            if path.is_dir():
                found[f"{name}/"] = ""
            elif name != FILLER:
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def fill(self, left_bytes: int = 0) -> None:
        """Leave so many bytes free, rounded down to whole pages of 4,096 bytes."""
        if not self._is_mounted:
            most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (left_bytes, most))
            return
        descriptor = os.open(self.folder / FILLER, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        size_bytes = 0
        try:
            while True:
                size_bytes += os.write(descriptor, bytes(4096))
        except OSError:
            os.ftruncate(descriptor, max(0, size_bytes - left_bytes))
        os.close(descriptor)

    def empty(self) -> None:
        """Take the filler away."""
        (self.folder / FILLER).unlink(missing_ok=True)
        most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def outcome_of(disk: Disk, write: Callable[[], object], *, left_bytes: int = 0) -> dict[str, Any]:
    """Return the error message of a write to the full disk, and the files before and after it."""
    before = disk.content()
    disk.fill(left_bytes)
    message = None
    try:
        write()
    except DiskFullError as error:
        message = str(error)
    after = disk.content()
    disk.empty()
    return {"message": message, "before": before, "after": after}


def text(disk: Disk) -> dict[str, Any]:
    from spaces.files.atomic import write_text_atomically

    path = disk.folder / "a.txt"
    write_text_atomically(path, "old")
    return outcome_of(disk, lambda: write_text_atomically(path, "new " * 25_000), left_bytes=8192)


def yaml(disk: Disk) -> dict[str, Any]:
    from spaces.files.yaml_file import write_yaml

    path = disk.folder / "config.yaml"
    write_yaml(path, {"a": 1})
    return outcome_of(disk, lambda: write_yaml(path, {"b": ["c" * 60] * 1000}), left_bytes=4096)


def journal(disk: Disk) -> dict[str, Any]:
    from results.journal.journal import Journal, read_journal

    path = disk.folder / "journal.jsonl"
    with Journal(path) as writer:
        writer.append(SearchResumed())
        # A part of the record finds room: the rest of this page and one more.
        end = {"trial": 0, "state": "failed", "reason": "r" * 30_000}
        outcome = outcome_of(disk, lambda: writer.append(TrialEnded(**end)), left_bytes=4096)
        writer.append(SearchEnded(reason="disk_full"))
    return outcome | {"events": [record.event for record in read_journal(path)]}


def new_journal(disk: Disk) -> dict[str, Any]:
    from results.journal.journal import Journal

    (disk.folder / "other").write_text("there before")

    def write() -> None:
        with Journal(disk.folder / "journal.jsonl") as writer:
            writer.append(SearchResumed())

    return outcome_of(disk, write)


def _records(disk: Disk) -> Any:
    """A run with one trial of 40 epochs, and the dimensions of its space."""
    from results.analysis.run_view import RunView
    from results.journal.journal import Journal
    from tests.worlds.journal_writing import DIMENSIONS, report, start

    with Journal(disk.folder / "journal.jsonl") as writer:
        start(writer, 0, loss__distillation="none", model__num_blocks=2, training__lr=1e-3)
        for epoch in range(1, 41):
            report(writer, 0, epoch, 20.0 - epoch / 10)
    return RunView.read(disk.folder), DIMENSIONS


def tables(disk: Disk) -> dict[str, Any]:
    from results.tables.trials import write_tables

    view, _ = _records(disk)
    write_tables(view)
    return outcome_of(disk, lambda: write_tables(view), left_bytes=4096)


def study(disk: Disk) -> dict[str, Any]:
    from results.trackers.study import write_study

    view, dimensions = _records(disk)
    write_study(view, dimensions)
    return outcome_of(disk, lambda: write_study(view, dimensions))


def checkpoint(disk: Disk) -> dict[str, Any]:
    import torch

    from trainable.checkpoints.folder import CheckpointFolder

    class Made(SimpleNamespace):
        def state(self) -> dict[str, Any]:
            weights = {"__S__.w": torch.zeros(20_000)}
            history = {"history": self.history}
            return {"model_state_dict": weights, "epoch": self.epoch, "veer": history}

    first = {"veer_pct": 20.0, "epoch": 1}
    folder = CheckpointFolder(disk.folder)
    folder.save(Made(epoch=1, history=[first]))
    trainer = Made(epoch=2, history=[first])
    return outcome_of(disk, lambda: folder.save(trainer), left_bytes=40_960)


def shard(disk: Disk) -> dict[str, Any]:
    import numpy as np

    from trainable.store.shard_writing import write_shard
    from trainable.store.shards import ShardKind, ShardLocation

    kind = ShardKind(stem="things", vectors="things", width=4)
    rows = [(f"{number}.wav", np.full((2500, 4), number, np.float16)) for number in range(5)]

    def write(number: int) -> None:
        write_shard(ShardLocation(folder=disk.folder, kind=kind, key="k", number=number), rows)

    write(0)
    return outcome_of(disk, lambda: write(1), left_bytes=int(sys.argv[4]))


def export(disk: Disk) -> dict[str, Any]:
    from results.analysis.run_view import RunView
    from results.export.export import export_trial

    view, out = RunView.read(Path(sys.argv[4])), disk.folder / "best"
    export_trial(view, out=out)
    return outcome_of(disk, lambda: export_trial(view, out=out), left_bytes=4096)


def embeddings(disk: Disk) -> dict[str, Any]:
    import numpy as np

    from trainable.teachers.embedding_writing import EmbeddingWriter

    file = disk.folder / "e.parquet"
    rng = np.random.default_rng(0)

    def write() -> None:
        with EmbeddingWriter(file, {}, 64) as writer:
            emb_ND = rng.standard_normal((500, 64)).astype(np.float32)
            writer.write(["a.wav"] * 500, np.arange(500), 200, emb_ND)

    write()
    return outcome_of(disk, write, left_bytes=20_480)


def log(disk: Disk) -> dict[str, Any]:
    from search.provenance.run_lock import logging_to

    warnings: list[str] = []

    def write() -> None:
        with logging_to(disk.folder / "log.txt", warnings.append):
            for _ in range(100):
                logging.getLogger("search.test").warning("x" * 100)

    (disk.folder / "log.txt").write_text("earlier\n" * 512)
    outcome = outcome_of(disk, write)
    return outcome | {"warnings": warnings}


def lock(disk: Disk) -> dict[str, Any]:
    from search.provenance.run_lock import leaving_no_trace, run_lock

    def write() -> None:
        with run_lock(disk.folder), leaving_no_trace(disk.folder, disk.folder / "log.txt"):
            pass

    return outcome_of(disk, write)


CASES = {
    each.__name__: each
    for each in (
        text, yaml, journal, new_journal, tables, study, checkpoint, shard, export, embeddings,
        log, lock,
    )
}  # fmt: skip

if __name__ == "__main__":
    sys.stdout.write(json.dumps(CASES[sys.argv[1]](Disk(Path(sys.argv[2]), sys.argv[3]))))
