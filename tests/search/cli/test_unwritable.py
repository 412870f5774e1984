"""What cannot be written: the remedy follows what the system found wrong."""

import errno
import os
from pathlib import Path

import pytest
from rich.console import Console

from search.cli.unwritable import is_of_output, output_refusal, refusal
from spaces.files.disk import require_writable
from spaces.files.errors import ConfigError
from trainable.machine.cache_dir import cache_dir

OUT = ("--out",)


def of(number: int, path: Path | str) -> OSError:
    return OSError(number, os.strerror(number), str(path))


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free room there; choose another place with --out"),
        (errno.EDQUOT, "free room there, or ask for a larger quota; choose another place"),
        (errno.EFBIG, "raise the limit on the size of a file"),
        (errno.EACCES, "make it writable, or choose another place with --out"),
        (errno.EROFS, "it is mounted read-only; choose another place with --out"),
        (errno.EISDIR, "a folder is there: give the name of a file"),
        (errno.ENAMETOOLONG, "shorten the name"),
        (errno.ELOOP, "links lead round in a circle"),
        (errno.EMFILE, "raise the limit on open files"),
        (errno.EIO, "the disk or the connection to it fails"),
        (errno.ENOENT, "nothing is there: see if the path is right"),
    ],
)
def test_the_remedy_follows_the_reason(tmp_path: Path, number: int, remedy: str) -> None:
    text = refusal(of(number, tmp_path / "file"), OUT)
    assert text.startswith(f"{tmp_path / 'file'}: {os.strerror(number)}; ")
    assert remedy in text
    assert ("make it writable" in text) is (number == errno.EACCES)


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    for path in (tmp_path / "a" / "b" / "c.csv", tmp_path / "a"):
        with pytest.raises(OSError, match=r"exists|directory") as refused:
            path.mkdir(parents=True)
        text = refusal(refused.value, OUT)
        assert f"{tmp_path / 'a'} is a file where a folder is needed: move it, or choose" in text


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")
    with pytest.raises(OSError, match=r"exists|No such") as refused:
        (link / "run").mkdir(parents=True)
    assert f"{link} is a link to {tmp_path / 'gone'}, where nothing is" in refusal(
        refused.value, OUT
    )
    with pytest.raises(FileNotFoundError, match="link"):
        require_writable(link / "run")


def test_the_kernels_folders_take_no_files() -> None:
    with pytest.raises(OSError, match="/proc/run") as refused:
        require_writable(Path("/proc/run"))
    assert "the kernel takes no files there; choose another" in refusal(refused.value, OUT)


def test_an_error_of_no_file_gets_no_advice_on_files() -> None:
    error = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    assert refusal(error, OUT) == "[Errno 111] Connection refused"


def test_a_screen_that_takes_no_more_is_told_from_a_file() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        with pytest.raises(OSError, match="No space left") as refused:
            Console(file=full).print("text")
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
    assert is_of_output(refused.value)
    assert output_refusal(refused.value) == (
        "standard output cannot be written: No space left on device; free room there"
    )
    assert not is_of_output(of(errno.ENOSPC, "/a"))


def test_without_a_home_folder_the_cache_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VEER_CACHE", raising=False)

    def no_home(*_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ConfigError, match=r"no home folder .* set \$VEER_CACHE to a folder"):
        cache_dir()
