"""Where everything in a run folder lies."""

import difflib
from pathlib import Path

from results.journal.journal import Record, read_journal
from spaces.files.errors import RunError

JOURNAL = "journal.jsonl"
TRIALS_FOLDER = "trials"


class RunFolder:
    """The paths of one search's folder; it must hold a journal.

    Raises:
        RunError: The folder is no run folder; the message names run folders near it.
    """

    def __init__(self, path: Path) -> None:
        if not (path / JOURNAL).is_file():
            raise RunError(_not_a_run(path))
        self.path = path

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    @property
    def settings(self) -> Path:
        """The search's resolved settings."""
        return self.path / "search.yaml"

    @property
    def journal(self) -> Path:
        """What happened: the truth that the other files are rebuilt from."""
        return self.path / JOURNAL

    @property
    def trials_table(self) -> Path:
        """A row a trial."""
        return self.path / "trials.parquet"

    @property
    def epochs_table(self) -> Path:
        """A row a trial and epoch."""
        return self.path / "epochs.parquet"

    @property
    def study(self) -> Path:
        """The Optuna study, in Optuna's journal format."""
        return self.path / "optuna-journal.log"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's files, a folder a trial."""
        return self.path / "tensorboard"

    @property
    def benchmark(self) -> Path:
        """The latest benchmark."""
        return self.path / "benchmark.json"

    @property
    def log(self) -> Path:
        """What the search logged."""
        return self.path / "log.txt"

    @property
    def space(self) -> Path:
        """The space that is searched."""
        return self.path / "space.yaml"

    @property
    def report(self) -> Path:
        """The page about the run."""
        return self.path / "report.html"

    @property
    def exports(self) -> Path:
        """Where exported trials go unless told otherwise."""
        return self.path / "export"

    def trial(self, number: int) -> Path:
        """The folder of one trial: config, checkpoints, scores."""
        return self.path / TRIALS_FOLDER / f"{number:04d}"

    def read(self) -> tuple[Record, ...]:
        """Reads the journal."""
        return read_journal(self.journal)


def _not_a_run(path: Path) -> str:
    what = "is not a run folder (it has no journal.jsonl)" if path.exists() else "does not exist"
    near = _runs_near(path)
    return f"{path} {what}" + (f"; did you mean {' or '.join(near)}?" if near else "")


def _runs_near(path: Path, most: int = 3) -> list[str]:
    """Run folders inside or beside a path, the likeliest name first."""
    inside = [journal.parent for journal in sorted(path.glob(f"*/{JOURNAL}"))]
    if inside:
        return [str(run) for run in inside[-most:]]
    beside = {journal.parent.name: journal.parent for journal in path.parent.glob(f"*/{JOURNAL}")}
    names = difflib.get_close_matches(path.name, beside, n=most, cutoff=0.0)
    return [str(beside[name]) for name in names]
