"""The working copy of a run in object storage: brought up to date before a command uses it.

The copy has the journal and all files of the run but its trials' weights, which a trial's worker
fetches itself. A journal here that is longer than the one there is a search's whose last records
were not uploaded: it is kept, and uploaded when the search is continued.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from results.journal.parts import has_parts, is_part, read_parts
from results.journal.run_folder import JOURNAL, TRIALS_FOLDER
from search.remote.lease import LEASE_FILE
from spaces.files.atomic import write_bytes_atomically
from spaces.files.errors import RunError
from spaces.files.locations import mirror_folder, mirror_path, uri_of
from spaces.files.locks import is_locked
from trainable.checkpoints.folder import MODEL_FOLDER
from trainable.storage.mirror import FolderMirror, everything
from trainable.storage.remote import RemoteFolder

# Written by the process of a search itself: the journal as parts, the inputs for its workers.
INPUTS_FOLDER = "inputs"


def copy_to_search(place: Path) -> Path:
    """Return the folder to search in: a path as it is, for a URI its working copy.

    Raises:
        StorageError: The store cannot be reached, or the bucket does not exist.
        RunError: The run was continued both here and elsewhere.
    """
    uri = uri_of(place)
    if uri is None:
        return place
    remote = RemoteFolder(uri)
    files = remote.files()
    folder = mirror_folder(uri)
    if not is_locked(folder):
        _bring_up_to_date(remote, files, folder)
    return folder


def copy_to_read(place: Path, *, with_weights: bool = False) -> Path:
    """Return the folder to read: a path as it is, for the URI of a run its working copy.

    Args:
        place: What the user named.
        with_weights: Whether the weights of trials are needed too.

    Raises:
        RunError: There is no run.
        StorageError: The store cannot be reached, or the bucket does not exist.
    """
    uri = uri_of(place)
    if uri is None:
        return place
    remote = RemoteFolder(uri)
    files = remote.files()
    if not has_parts(files):
        raise RunError(f"{uri} is no run folder (it has no journal)")
    folder = mirror_folder(uri)
    if not is_locked(folder):  # else a search here writes it
        _bring_up_to_date(remote, files, folder)
    if with_weights:
        fetch_trials(remote, folder, is_weights)
    return folder


def has_working_copy(uri: str) -> bool:
    """Return whether this machine has a journal of a run."""
    return (mirror_path(uri) / JOURNAL).is_file()


def is_weights(name: str) -> bool:
    """Return whether a file of a run belongs to the weights of a trial."""
    parts = name.split("/")
    return len(parts) > 3 and parts[0] == TRIALS_FOLDER and parts[2] == MODEL_FOLDER


def is_of_run(name: str) -> bool:
    """Return whether a file is uploaded by the process of the search, as it is."""
    return name not in (JOURNAL, LEASE_FILE) and name.partition("/")[0] not in (
        TRIALS_FOLDER,
        INPUTS_FOLDER,
    )


def fetch_trials(
    remote: RemoteFolder, folder: Path, takes: Callable[[str], bool] = everything
) -> None:
    """Fetch files of trials that are missing here: by default all of them.

    Raises:
        StorageError: A request failed.
    """
    inside = f"{TRIALS_FOLDER}/"

    def wanted(name: str) -> bool:
        return name.startswith(inside) and takes(name)

    FolderMirror(folder, remote, wanted).fetch()


def _bring_up_to_date(remote: RemoteFolder, files: dict[str, int], folder: Path) -> None:
    here, there = _read(folder / JOURNAL), read_parts(remote) if has_parts(files) else b""
    if there.startswith(here):
        if len(there) > len(here):
            _replace(remote.uri, folder, there)
    elif here.startswith(there):
        return  # what is here is newer
    else:
        raise RunError(
            f"{remote.uri}: its journal and that of its working copy {folder} must have the same "
            "records, got different ones: it was continued in two places; move the working copy "
            "away to go on from the journal there"
        )
    mirror = FolderMirror(folder, remote, lambda name: not is_weights(name) and not is_part(name))
    mirror.fetch(lambda name: name != LEASE_FILE and not name.startswith(f"{INPUTS_FOLDER}/"))


def _replace(uri: str, folder: Path, journal: bytes) -> None:
    """Begin the working copy anew: its other files are as old as its journal was."""
    shutil.rmtree(folder)
    write_bytes_atomically(mirror_folder(uri) / JOURNAL, journal)


def _read(file: Path) -> bytes:
    """Return the whole lines of a journal."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return b""
    return content[: content.rfind(b"\n") + 1]
