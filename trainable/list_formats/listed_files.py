"""The audio files that a list names: each path stays inside the root and leads to a file."""

import os
import posixpath
import stat
from pathlib import Path, PurePath, PureWindowsPath

from trainable.list_formats.path_repairs import NearPath, PathRepairs

# PATH_MAX of Linux: no file has a longer path, and the system refuses to look one up.
MAX_PATH_CHARS = 4096
# Causes of faults that a sentence about the whole list explains.
ELSEWHERE, UTTERANCE_NAMES = "elsewhere", "utterance names"
# Absolute paths whose parents are compared with the root, one by one, before that is given up.
_MAX_PREFIX_MISSES = 3
LINK_REMEDY = (
    "copy the root with `cp -rL {root} NEW_ROOT`, or with `cp -rlL`, which takes no room but "
    "needs the same disk"
)


class ListedFiles:
    """Checks of a list's paths against a root; every file and folder is looked up once.

    Args:
        root: Folder that the paths start from.
        check_files: Whether to look up the files; false for lists that were checked before.
    """

    def __init__(self, root: Path, *, check_files: bool = True) -> None:
        self._root = root.resolve()
        self._check_files = check_files
        # A file's fault, or its identity if it has none.
        self._found: dict[str, str | int] = {}
        self._inside: dict[Path, bool] = {}
        self._prefixes = list(dict.fromkeys(_as_prefix(each) for each in (root, self._root)))
        self._num_misses = 0
        self._links_out: dict[str, Path] = {}
        self._causes: dict[str, str] = {}
        self._elsewhere: list[str] = []
        self._repairs = PathRepairs(self._root)

    def relative(self, path: str) -> str:
        """Return a path without the root, `.`, `..` and repeated slashes, if it stays inside.

        A path that does not is returned as the list has it.
        """
        if not path.startswith("/"):
            return _normal(path)
        for prefix in self._prefixes:
            if path.startswith(prefix):
                return _normal(path[len(prefix) :].lstrip("/"))
        # The root may be a link's target, and the list may use the link.
        if self._num_misses < _MAX_PREFIX_MISSES and len(path) <= MAX_PATH_CHARS:
            for parent in PurePath(path).parents:
                if _is_same(Path(parent), self._root):
                    self._prefixes.append(_as_prefix(Path(parent)))
                    return self.relative(path)
            self._num_misses += 1
        return path

    def fault(self, path: str) -> str | None:
        """Return what is wrong with a path, None if nothing is or nothing is checked."""
        if not self._check_files:
            return None
        if path not in self._found:
            self._found[path] = self._look_up(path)
        found = self._found[path]
        return found if isinstance(found, str) else None

    def identity(self, path: str) -> int | None:
        """Return a number that all paths to one file share; None if nothing is checked."""
        found = self._found.get(path)
        return found if isinstance(found, int) else None

    def link_out(self, path: str) -> Path | None:
        """Return the link by which a path with a fault leads out of the root, None without one."""
        return self._links_out.get(path)

    def shared_cause(self, path: str) -> str | None:
        """Return a name for the cause of a path's fault that other paths may share."""
        link = self._links_out.get(path)
        # One cause for all links: folders of speakers are often linked one by one.
        return self._causes.get(path) if link is None else "links"

    def near(self, path: str) -> NearPath | None:
        """Return the file that a path with a fault may mean, None if there is none like it."""
        return self._repairs.near(path) if len(path) <= MAX_PATH_CHARS else None

    @property
    def repaired_causes(self) -> set[str]:
        """The causes of faults for which a file like the one that is named was found."""
        return set(self._causes.values()) - {ELSEWHERE, UTTERANCE_NAMES, "outside"}

    @property
    def folder_elsewhere(self) -> str | None:
        """The innermost folder of all files that the list names outside the root, None without."""
        folders = [posixpath.dirname(path) for path in self._elsewhere]
        return posixpath.commonpath(folders) if folders else None

    def _find_link_out(self, path: str) -> Path | None:
        place = self._root
        for part in PurePath(path).parts:
            place = place / part
            if place.is_symlink() and not place.resolve().is_relative_to(self._root):
                return place
        return None

    def _look_up(self, path: str) -> str | int:
        if len(path) > MAX_PATH_CHARS:
            return f"a path must have at most {MAX_PATH_CHARS:,} characters, got {len(path):,}"
        if _is_outside(path):
            return f"the path must stay inside {self._root}, got {path!r}{self._outside(path)}"
        file = self._root / path
        try:
            found = file.stat()
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return f"there is no audio file {file}{self._near(path)}"
        except OSError as error:
            return f"the audio file {file} cannot be reached: {error.strerror}"
        if not stat.S_ISREG(found.st_mode):
            return f"there is no audio file {file}"
        # Resolving each of a million files is slow: folders repeat, links are rare.
        target = file.resolve() if file.is_symlink() else file
        if not self._is_inside(target.parent):
            link = self._links_out[path] = self._find_link_out(path) or file
            return (
                f"the path must stay inside {self._root}, got {path!r}, a link to outside: {link} "
                f"leads to {link.resolve()}; {LINK_REMEDY.format(root=self._root)}"
            )
        return found.st_dev << 64 | found.st_ino

    def _near(self, path: str) -> str:
        """Return what may be wrong with the path of a missing file, empty if nothing is known."""
        near = self.near(path)
        if near is None:
            if "/" not in path and "." not in path:
                self._causes[path] = UTTERANCE_NAMES
                return "; the list names utterances, as Kaldi does, not files"
            return ""
        self._causes[path] = near.cause
        return f"; there is {near.path}: {near.cause}"

    def _outside(self, path: str) -> str:
        """Return why a path may lead outside, empty if nothing is known."""
        if hint := self._near(path):
            return hint
        if not (path.startswith("/") or PureWindowsPath(path).drive):
            return ""
        is_file = os.path.isfile(path)  # noqa: PTH113 - false for any odd name
        self._causes[path] = ELSEWHERE if is_file else "outside"
        if is_file:
            self._elsewhere.append(posixpath.normpath(path))
        return ""

    def _is_inside(self, folder: Path) -> bool:
        if folder not in self._inside:
            self._inside[folder] = folder.resolve().is_relative_to(self._root)
        return self._inside[folder]


def _normal(path: str) -> str:
    # Nearly all paths of a million have none of these.
    if not ("//" in path or "./" in path or path.endswith(("/", "/.", "/.."))):
        return path
    normal = posixpath.normpath(path)
    return path if normal == "." or normal.startswith("..") else normal


def _as_prefix(folder: Path) -> str:
    return str(folder.absolute()).rstrip("/") + "/"


def _is_same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)  # noqa: PTH121 - no object for each parent's other
    except (OSError, ValueError):
        return False


def _is_outside(path: str) -> bool:
    """Return whether a path leads out of its root as it is written, on this or another system."""
    # Windows paths too: a list that is safe on one system must not leave the root on another.
    windows = PureWindowsPath(path)
    return path.startswith("/") or ".." in windows.parts or bool(windows.anchor)
