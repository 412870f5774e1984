"""What is wrong with the path of a missing file, found by the file that is nearly named so."""

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".wav", ".flac", ".WAV", ".FLAC", ".aiff", ".aif", ".w64")
# Paths without a file nearby after which no more files are looked for: a list may lack a million.
_MAX_MISSES = 50
_MAX_FOLDERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class NearPath:
    """A file that a path may mean.

    Attributes:
        path: Its path, relative to the root.
        cause: What is wrong with the path that the list has; many paths of a list share it.
    """

    path: str
    cause: str


class PathRepairs:
    """Finds the files that wrong paths of one list mean.

    Args:
        root: Folder that the paths start from.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        # Leading folders that were found to be too many or too few, the last one first.
        self._too_many: list[str] = []
        self._too_few: list[str] = []
        self._num_misses = 0

    def near(self, path: str) -> NearPath | None:
        """Return the file that a path means, None if there is none like it."""
        for form, how in _forms(path):
            if (found := self._with_suffix(form)) is not None:
                return NearPath(path=found, cause=how or _suffix_cause(found, form))
            for prefix in self._too_many:
                if form.startswith(prefix) and (found := self._with_suffix(form[len(prefix) :])):
                    return NearPath(path=found, cause=self._cause_of(prefix))
            for prefix in self._too_few:
                if found := self._with_suffix(f"{prefix}/{form}"):
                    return NearPath(path=found, cause=self._cause_of_lack(prefix))
        if self._num_misses >= _MAX_MISSES:
            return None
        for form, _ in _forms(path):
            if self._learn_too_many(form) or self._learn_too_few(form):
                return self.near(path)
        self._num_misses += 1
        return None

    def _learn_too_many(self, path: str) -> bool:
        place = path.find("/", 1)
        while place >= 0:
            if self._with_suffix(path[place + 1 :]):
                self._too_many.insert(0, path[: place + 1])
                return True
            place = path.find("/", place + 1)
        return False

    def _learn_too_few(self, path: str) -> bool:
        if path.startswith("/"):
            return False
        try:
            with os.scandir(self._root) as folders:
                names = [each.name for each, _ in zip(folders, range(_MAX_FOLDERS), strict=False)]
        except OSError:
            return False
        found = next((name for name in sorted(names) if self._has(f"{name}/{path}")), None)
        if found is not None:
            self._too_few.insert(0, found)
        return found is not None

    def _cause_of(self, prefix: str) -> str:
        own = f"{self._root}/"
        if not prefix.startswith("/") and own.endswith(f"/{prefix}"):
            higher = own.removesuffix(prefix)
            return f"{prefix} is the folder that paths start from: set the folder one higher, " + (
                higher.rstrip("/") or "/"
            )
        return f"leave {prefix} out of the paths"

    def _cause_of_lack(self, prefix: str) -> str:
        return f"set the folder that paths start from to {self._root / prefix}"

    def _with_suffix(self, path: str) -> str | None:
        """Return the file of a path, whatever the suffix; None if there is none."""
        if not path or path.startswith("/") or ".." in path.split("/"):
            return None
        if self._has(path):
            return path
        stem, dot, last = path.rpartition(".")
        stems = [path, stem] if dot and "/" not in last else [path]
        return next((s + e for s in stems for e in SUFFIXES if self._has(s + e)), None)

    def _has(self, path: str) -> bool:
        return os.path.isfile(f"{self._root}/{path}")  # noqa: PTH113 - false for any odd name


def _suffix_cause(found: str, path: str) -> str:
    return "" if found == path else "name it with this suffix"


def _forms(path: str) -> list[tuple[str, str]]:
    """Return the ways of writing a path, each with what is wrong if its file is there."""
    slashes = path.replace("\\", "/")
    forms = [(path, "")]
    if slashes != path:
        forms.append((slashes.lstrip("/"), "write / in place of \\ in its path"))
        # A drive is among the folders that are too many.
        forms.append((slashes, "write / in place of \\ in its path"))
    if slashes != slashes.lower():
        forms.append((slashes.lower(), "its file is named in small letters"))
    if not path.isascii():
        for form in ("NFC", "NFD"):
            other = unicodedata.normalize(form, slashes)
            if other != slashes:
                forms.append((other, f"the name of its file is written in Unicode's form {form}"))
    return forms
