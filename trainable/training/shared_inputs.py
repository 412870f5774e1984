"""What a worker on another machine fetches before its first trial: lists and teacher."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from spaces.files.digest import file_sha256
from spaces.files.errors import StorageError
from spaces.files.locations import mirror_folder
from spaces.files.locks import lock_folder
from trainable.corpus.corpus import CorpusConfig
from trainable.storage.remote import RemoteFolder
from trainable.storage.retrying import TRIAL

# A file's name begins with so many digits of its SHA-256, so that it never changes.
NAME_DIGITS = 16
# One process of a node fetches; the others wait for it.
WAIT_S = 600.0


class SharedInputs(BaseModel):
    """Files of a run in object storage that all of its trials need.

    Attributes:
        uri: The folder that they are in.
        train_list: Name of the train list.
        val_list: Name of the validation list.
        teacher: Name of the teacher's file; None if no trial needs one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str
    train_list: str
    val_list: str
    teacher: str | None

    def fetched(self, corpus: CorpusConfig) -> tuple[CorpusConfig, Path | None]:
        """Return the corpus with lists on this machine, and the teacher's file here.

        Each is fetched once, whatever the number of processes and trials.

        Raises:
            StorageError: The store cannot be reached, or a file there is damaged.
        """
        folder, remote = mirror_folder(self.uri), RemoteFolder(self.uri, TRIAL)
        named = [self.train_list, self.val_list, *filter(None, [self.teacher])]
        if any(not (folder / name).is_file() for name in named):
            busy = "fetches the lists and the teacher; end it if it hangs"
            lock = lock_folder(folder, lambda who: StorageError(f"{folder}: {who} {busy}"), WAIT_S)
            try:
                for name in named:
                    if not (folder / name).is_file():
                        _fetch(remote, folder, name)
            finally:
                lock.release()
        lists = {"train_list": folder / self.train_list, "val_list": folder / self.val_list}
        teacher = None if self.teacher is None else folder / self.teacher
        return corpus.model_copy(update=lists), teacher


def _fetch(remote: RemoteFolder, folder: Path, name: str) -> None:
    try:
        remote.fetch(name, folder / name)
    except FileNotFoundError:
        raise StorageError(
            f"{remote.uri}/{name}: is missing; resume the search, which uploads it again"
        ) from None
    if not name.startswith(file_sha256(folder / name)[:NAME_DIGITS]):
        (folder / name).unlink()
        raise StorageError(
            f"{remote.uri}/{name}: its SHA-256 must begin as its name; delete it and resume the "
            "search, which uploads it again"
        )
