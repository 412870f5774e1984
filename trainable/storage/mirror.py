"""A folder of this machine and its copy in object storage, brought into agreement."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from spaces.files.atomic import write_bytes_atomically
from spaces.files.digest import SUFFIX as DIGEST_SUFFIX
from spaces.files.digest import digest_path
from spaces.files.locations import ORIGIN_FILE, mirror_folder, mirror_path
from trainable.storage.remote import RemoteFolder

# Endings of files that are not whole yet.
_UNFINISHED = (".tmp", ".building")
_Mark = tuple[int, int]  # size in bytes and time of change in ns


def everything(name: str) -> bool:
    """Take part with every file."""
    del name
    return True


class FolderMirror:
    """The agreement of a local folder with a remote one; for one thread.

    Every file is expected to be written in one step, as Veer's are: a changed one has another size
    or time. Names that begin with a dot, and files that are not whole yet, take no part.

    Args:
        local: The folder here; need not exist.
        remote: Its copy.
        takes: Returns whether a file takes part, by its name relative to the folder.
    """

    def __init__(
        self, local: Path, remote: RemoteFolder, takes: Callable[[str], bool] = everything
    ) -> None:
        self.local, self.remote = local, remote
        self._takes = takes
        self._known: dict[str, _Mark] = {}

    def upload(self) -> list[str]:
        """Upload what is new or changed since the last call; return the names.

        Files that were here at an earlier call, and are gone, are deleted there; other
        files there stay. A file that is deleted meanwhile is left out.

        Raises:
            StorageError: A request failed; a further call goes on from there.
        """
        sent = []
        here = self._here()
        for name in sorted(here, key=_digests_first):
            mark = here[name]
            if self._known.get(name) == mark:
                continue
            try:
                self.remote.put(self.local / name, name)
            except FileNotFoundError:
                continue
            self._known[name] = mark
            sent.append(name)
        # Only now: what replaces a file must be there before it goes.
        gone = self._known.keys() - self._here().keys()
        for name in sorted(gone):
            self.remote.delete(name)
            del self._known[name]
        return sent

    def fetch(self, takes: Callable[[str], bool] = everything) -> list[str]:
        """Fetch the files that are missing here or differ; return the names.

        Those without a digest next to them differ if their size does.

        Args:
            takes: As for the class; both must take a file.

        Raises:
            StorageError: A request failed; the files that came are whole.
            DiskFullError: There is no room here.
        """
        came = []
        there = self.remote.files()
        for name in sorted(there, key=_digests_first):
            if not (self._takes(name) and takes(name)):
                continue
            target = self.local / name
            try:
                if name.endswith(DIGEST_SUFFIX):
                    came += [name] * _renew_digest(self.remote.read(name), target)
                elif not (target.is_file() and target.stat().st_size == there[name]):
                    self.remote.fetch(name, target)
                    came.append(name)
            except FileNotFoundError:  # deleted since it was listed
                continue
            self._known[name] = _mark(target)
        return came

    def _here(self) -> dict[str, _Mark]:
        found = {}
        for file in self.local.rglob("*"):
            name = file.relative_to(self.local).as_posix()
            hidden = any(part.startswith(".") for part in Path(name).parts)
            if hidden or name.endswith(_UNFINISHED) or name == ORIGIN_FILE:
                continue
            try:
                if file.is_file() and not file.is_symlink() and self._takes(name):
                    found[name] = _mark(file)
            except FileNotFoundError:
                continue
        return found


def fetch_place(uri: str) -> Path | None:
    """Fetch a file, with the digest next to it, or a folder; return its working copy.

    Returns:
        None if there is neither.

    Raises:
        StorageError: The store cannot be reached.
        DiskFullError: There is no room here.
    """
    above, _, name = uri.rpartition("/")
    if not above.endswith(":/") and (size := RemoteFolder(above).size(name)) is not None:
        return _fetch_file(RemoteFolder(above), name, size)
    mirror = FolderMirror(mirror_path(uri), RemoteFolder(uri))
    if not mirror.remote.files():
        return None
    mirror_folder(uri)
    mirror.fetch()
    return mirror.local


def _fetch_file(remote: RemoteFolder, name: str, num_bytes: int) -> Path:
    target = mirror_folder(remote.uri) / name
    with suppress(FileNotFoundError):  # not every file has one
        _renew_digest(remote.read(name + DIGEST_SUFFIX), digest_path(target))
    if not (target.is_file() and target.stat().st_size == num_bytes):
        remote.fetch(name, target)
    return target


def _renew_digest(content: bytes, target: Path) -> bool:
    """Write a digest that differs from the one here, whose file then goes; return whether it does.

    Args:
        content: The digest there.
        target: The digest here.
    """
    if target.is_file() and target.read_bytes() == content:
        return False
    target.with_name(target.name.removesuffix(DIGEST_SUFFIX)).unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes_atomically(target, content)
    return True


def _digests_first(name: str) -> tuple[bool, str]:
    """Order files so that the digest of a file comes before the file itself."""
    return not name.endswith(DIGEST_SUFFIX), name


def _mark(file: Path) -> _Mark:
    status = file.stat()
    return status.st_size, status.st_mtime_ns
