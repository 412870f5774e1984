"""A search that runs on the working copy of a run: what it has goes up while it goes on."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from results.journal.journal import Journal
from results.journal.parts import JournalParts
from results.journal.run_folder import JOURNAL, TRIALS_FOLDER
from results.records.record import Record
from search.remote.lease import Lease
from search.remote.working_copy import INPUTS_FOLDER, fetch_trials, is_of_run
from spaces.files.digest import file_sha256
from spaces.files.errors import StorageError
from spaces.files.locations import origin_of
from trainable.checkpoints.folder import MODEL_FOLDER, CheckpointFolder
from trainable.storage.mirror import FolderMirror
from trainable.storage.remote import RemoteFolder
from trainable.storage.uploader import Uploader
from trainable.training.shared_inputs import NAME_DIGITS, SharedInputs

# Records are uploaded together if they come faster.
LEAST_GAP_S = 1.0
# The last uploads wait out a short outage of the store.
FLUSH_WITHIN_S = 120.0
# As long as a worker waits for its last upload, and some more.
CHECKPOINTS_WITHIN_S = 70.0
POLL_S = 0.5


class RunningCopy:
    """Uploads of a run: its journal as parts, its files as they are.

    All requests but those of `share`, `fetch_trials` and `wait_for_checkpoints` are made in a
    thread of their own, in the order: journal, files, deletions. So nothing is deleted there
    before the records that say why are there.

    Args:
        folder: The working copy.
        uri: Of the run.
        print_line: Prints a line about an outage of the store.
    """

    def __init__(self, folder: Path, uri: str, print_line: Callable[[str], None]) -> None:
        self.uri = uri
        self.folder = folder
        self._print_line = print_line
        self._remote = RemoteFolder(uri)
        self._lease = Lease(self._remote)
        self._lease.take()
        self._parts = JournalParts(folder / JOURNAL, self._remote)
        self._files = FolderMirror(folder, self._remote, is_of_run)
        self._wants_files = False
        self._unneeded: set[int] = set()
        self._uploader = Uploader(self._upload, print_line, least_gap_s=LEAST_GAP_S)

    def follow(self, journal: Journal) -> None:
        """Upload each further record of the journal soon after it is on disk."""
        journal.follow(self._take)

    def upload_files(self) -> None:
        """Upload the files of the run that are new or changed; returns at once."""
        self._wants_files = True
        self._uploader.request()

    def delete_weights(self, trial: int) -> None:
        """Delete the weights of a trial there; returns at once."""
        self._unneeded.add(trial)
        self._uploader.request()

    def check(self) -> None:
        """Renew the note that this process leads the search; to be called again and again.

        Raises:
            RunError: Another process continues the same search.
        """
        self._uploader.check()
        if self._lease.is_due:
            self._uploader.request()

    def trial_uri(self, trial: int) -> str:
        """Return the URI of a trial's folder."""
        return f"{self.uri}/{_trial_name(trial)}"

    def share(self, train_list: Path, val_list: Path, teacher: Path | None) -> SharedInputs:
        """Upload what a worker on another machine needs, and return where it finds it.

        Raises:
            StorageError: A request failed.
        """
        inputs = self._remote.child(INPUTS_FOLDER)
        there = inputs.files()

        def put(file: Path | None) -> str | None:
            if file is None:
                return None
            name = f"{file_sha256(file)[:NAME_DIGITS]}-{file.name}"
            if there.get(name) != file.stat().st_size:
                inputs.put(file, name)
            return name

        return SharedInputs(
            uri=inputs.uri,
            train_list=str(put(train_list)),
            val_list=str(put(val_list)),
            teacher=put(teacher),
        )

    def wait_for_checkpoints(
        self, epochs: Mapping[int, int], within_s: float = CHECKPOINTS_WITHIN_S
    ) -> None:
        """Wait until the workers have uploaded the last checkpoints of trials.

        Args:
            epochs: The epoch of its last checkpoint by trial.
            within_s: How long to wait, seconds; what is missing then is printed.

        Raises:
            StorageError: A request failed.
        """
        until_s = time.monotonic() + within_s
        while missing := self._missing(epochs):
            if time.monotonic() >= until_s:
                names = ", ".join(map(str, missing))
                self._print_line(
                    f"the last checkpoints of trials {names} were not uploaded within "
                    f"{within_s:g} s: they continue from earlier ones"
                )
                return
            time.sleep(POLL_S)

    def fetch_trials(self) -> None:
        """Fetch weights and scores of trials that are missing here.

        Raises:
            StorageError: A request failed.
        """
        fetch_trials(self._remote, self.folder)

    def finish(self) -> None:
        """Upload all that is left, and leave the run to others.

        Raises:
            StorageError: It could not be uploaded.
            RunError: Another process continues the same search.
        """
        self._wants_files = True
        try:
            self._uploader.flush(FLUSH_WITHIN_S)
            self._lease.release()
        except StorageError as error:
            raise StorageError(
                f"{error}\nwhat is not uploaded is in {self.folder}: `veer resume {self.uri}` on "
                "this machine uploads it"
            ) from error
        finally:
            self._uploader.close()

    def _take(self, record: Record) -> None:
        del record
        self._uploader.request()

    def _upload(self) -> None:
        # Taken before the uploads: what is asked for meanwhile belongs to the next call.
        wants_files, unneeded = self._wants_files, set(self._unneeded)
        if (self.folder / JOURNAL).is_file():
            self._parts.upload()
        if self._lease.is_due:
            self._lease.renew()
        if wants_files:
            self._wants_files = False
            try:
                self._files.upload()
            except StorageError:
                self._wants_files = True
                raise
        for trial in unneeded:
            weights = self._remote.child(f"{_trial_name(trial)}/{MODEL_FOLDER}")
            for name in weights.files():
                weights.delete(name)
            self._unneeded.discard(trial)

    def _missing(self, epochs: Mapping[int, int]) -> list[int]:
        there = self._remote.child(TRIALS_FOLDER).files() if epochs else {}
        return [
            trial
            for trial, epoch in epochs.items()
            if f"{trial:04d}/{MODEL_FOLDER}/{CheckpointFolder(Path()).file_of(epoch).name}"
            not in there
        ]


@contextmanager
def running_copy(
    folder: Path, print_line: Callable[[str], None]
) -> Iterator[RunningCopy | None]:
    """Upload the run in a working copy as long as the block runs; None for any other folder.

    To be used while the folder is locked.

    Raises:
        RunError: Another machine leads a search in the run.
        StorageError: The store cannot be reached, or not all was uploaded.
    """
    uri = origin_of(folder)
    if uri is None:
        yield None
        return
    copy = RunningCopy(folder, uri, print_line)
    try:
        yield copy
    except BaseException:
        # The error of the search is the one to be seen.
        try:
            copy.finish()
        except StorageError as error:
            print_line(str(error))
        raise
    copy.finish()


def upload_folder(folder: Path, inside: Iterable[str]) -> None:
    """Upload some of the folders in the working copy of a run; nothing of another folder.

    Raises:
        StorageError: A request failed.
    """
    uri, tops = origin_of(folder), set(inside)
    if uri is not None:
        FolderMirror(
            folder, RemoteFolder(uri), lambda name: name.partition("/")[0] in tops
        ).upload()


def _trial_name(trial: int) -> str:
    return f"{TRIALS_FOLDER}/{trial:04d}"
