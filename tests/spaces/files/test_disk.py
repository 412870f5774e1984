import errno
import os
from pathlib import Path

import pytest

from spaces.files.disk import (
    format_bytes,
    free_bytes,
    is_disk_full,
    require_writable,
    translate_disk_full,
)
from spaces.files.errors import DiskFullError
from tests.worlds.read_only import read_only


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_full_disk_is_known_by_its_number(number: int) -> None:
    assert is_disk_full(OSError(number, "no room"))
    assert is_disk_full(DiskFullError("x: needs 3 MiB"))
    assert not is_disk_full(OSError(errno.EACCES, "not yours"))


def test_full_disk_behind_another_error_is_found() -> None:
    error = RuntimeError("PytorchStreamWriter failed writing file data/7")
    error.__context__ = OSError(errno.ENOSPC, "No space left on device")
    assert is_disk_full(error)


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (errno.ENOSPC, "free room there and continue"),
        (errno.EDQUOT, "free room there, or ask for a larger quota and continue"),
        (errno.EFBIG, r"raise the limit on the size of a file \(`ulimit -f`\) and continue"),
    ],
)
def test_the_error_names_path_bytes_and_fix(tmp_path: Path, number: int, fix: str) -> None:
    path = tmp_path / "not" / "there" / "yet"
    message = (
        rf"{path}: cannot be written \({os.strerror(number)}\): 12,345 bytes are to be written, "
        rf"[\d,]+ bytes are free on its file system; {fix}: what"
    )
    with pytest.raises(DiskFullError, match=message), translate_disk_full(path, lambda: 12_345):
        raise OSError(number, os.strerror(number))


def test_the_innermost_file_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(DiskFullError, match=f"^{tmp_path}/inner: .*: 3 bytes"),
        translate_disk_full(tmp_path / "outer", 9),
        translate_disk_full(tmp_path / "inner", 3),
    ):
        raise OSError(errno.ENOSPC, "full")


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="not yours"), translate_disk_full(tmp_path):
        raise PermissionError(errno.EACCES, "not yours")
    with pytest.raises(RuntimeError, match="of the shapes"), translate_disk_full(tmp_path):
        raise RuntimeError("of the shapes")


def test_free_bytes_are_those_of_the_file_system(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    there = free_bytes(tmp_path / "missing" / "folder")
    assert there == pytest.approx(found.f_bavail * found.f_frsize, rel=0.05)


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (62_400, "62 kB"),
        (999_600, "1.0 MB"),
        (1_240_000_000, "1.2 GB"),
        (210e9, "210 GB"),
        (5e15, "5000 TB"),
    ],
)
def test_bytes_are_formatted_in_decimal_units(num_bytes: float, text: str) -> None:
    assert format_bytes(num_bytes) == text


def test_a_folder_that_takes_no_file_is_refused_before_the_work(tmp_path: Path) -> None:
    require_writable(tmp_path / "not" / "there" / "yet")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="file/run"):
        require_writable(tmp_path / "file" / "run")
    with read_only(tmp_path), pytest.raises(OSError, match=r"Read-only file system: .*/run'"):
        require_writable(tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
