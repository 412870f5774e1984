"""The paths of the files in a run folder."""

import difflib
from pathlib import Path

from results.journal.journal import read_journal
from results.records.record import Record
from spaces.files.errors import RunError

JOURNAL = "journal.jsonl"
TRIALS_FOLDER = "trials"
EXPORT_FOLDER = "export"


class RunFolder:
    """The folder of one search, which must hold a journal.

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
        """The resolved settings of the search, as YAML."""
        return self.path / "search.yaml"

    @property
    def journal(self) -> Path:
        """The journal, from which the other files can be rebuilt."""
        return self.path / JOURNAL

    @property
    def trials_table(self) -> Path:
        """The table with a row for each trial."""
        return self.path / "trials.parquet"

    @property
    def epochs_table(self) -> Path:
        """The table with a row for each epoch of each trial."""
        return self.path / "epochs.parquet"

    @property
    def forms_table(self) -> Path:
        """The table with a row for each form of deployment and setting that was measured."""
        return self.path / "forms.parquet"

    @property
    def front(self) -> Path:
        """The front of a search with several goals, and its volume over the epochs."""
        return self.path / "front.json"

    @property
    def study(self) -> Path:
        """The Optuna study, in Optuna's journal format."""
        return self.path / "optuna-journal.log"

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's event files, with a folder for each trial."""
        return self.path / "tensorboard"

    @property
    def benchmark(self) -> Path:
        """The results of the latest benchmark."""
        return self.path / "benchmark.json"

    @property
    def log(self) -> Path:
        """The log file: the messages of the search with their times."""
        return self.path / "log.txt"

    @property
    def space(self) -> Path:
        """The search space, in the format of a space file."""
        return self.path / "space.yaml"

    @property
    def report(self) -> Path:
        """The HTML report of the run."""
        return self.path / "report.html"

    @property
    def exports(self) -> Path:
        """The default folder of exported trials."""
        return self.path / EXPORT_FOLDER

    def trial(self, number: int) -> Path:
        """Return the folder of one trial, with its config, checkpoints and scores."""
        return self.path / TRIALS_FOLDER / f"{number:04d}"

    def read(self) -> tuple[Record, ...]:
        """Return all records of the journal, oldest first."""
        return read_journal(self.journal)


def _not_a_run(path: Path) -> str:
    problem = "does not exist"
    if path.exists():
        problem = "is not a run folder (it has no journal.jsonl)"
    near = _runs_near(path)
    return f"{path} {problem}" + (f"; did you mean {' or '.join(near)}?" if near else "")


def _runs_near(path: Path, most: int = 3) -> list[str]:
    """Return run folders inside a path, else those next to it with the most similar names."""
    inside = [journal.parent for journal in sorted(path.glob(f"*/{JOURNAL}"))]
    if inside:
        return [str(run) for run in inside[-most:]]
    nearby = {journal.parent.name: journal.parent for journal in path.parent.glob(f"*/{JOURNAL}")}
    # Without a cutoff: names of other runs help even where none is similar.
    names = difflib.get_close_matches(path.name, nearby, n=most, cutoff=0.0)
    return [str(nearby[name]) for name in names]
