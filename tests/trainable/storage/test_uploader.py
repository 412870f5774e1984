"""Uploads that nobody waits for."""

import threading
import time

import pytest

from spaces.files.errors import RunError, StorageError
from trainable.storage.retrying import Patience
from trainable.storage.uploader import Uploader

QUICK = Patience(first_wait_s=0.01, most_wait_s=0.02)


def test_a_request_returns_before_its_upload_ends() -> None:
    may_end = threading.Event()
    uploader = Uploader(lambda: may_end.wait(5))
    begun_s = time.monotonic()
    uploader.request()
    assert time.monotonic() - begun_s < 0.1
    may_end.set()
    uploader.flush(5)
    uploader.close()


def test_what_is_asked_for_during_an_upload_is_uploaded_once_more() -> None:
    begun, may_end, calls = threading.Event(), threading.Event(), list[int]()

    def upload() -> None:
        calls.append(1)
        begun.set()
        may_end.wait(5)

    uploader = Uploader(upload)
    uploader.request()
    begun.wait(5)
    for _ in range(5):
        uploader.request()
    may_end.set()
    uploader.flush(5)
    uploader.close()
    assert len(calls) == 2


def test_a_failed_upload_is_repeated_and_told_once() -> None:
    lines, left = list[str](), [3]

    def upload() -> None:
        if left[0]:
            left[0] -= 1
            raise StorageError("no answer")

    uploader = Uploader(upload, lines.append, patience=QUICK)
    uploader.flush(5)
    uploader.close()
    assert lines == [
        "not uploaded, tried again until it is: no answer",
        "object storage answers again: all is uploaded",
    ]


def test_a_flush_gives_up_with_the_last_failure() -> None:
    def upload() -> None:
        raise StorageError("no answer")

    uploader = Uploader(upload, patience=QUICK)
    with pytest.raises(StorageError, match="no answer"):
        uploader.flush(0.1)
    uploader.close()


def test_another_error_ends_the_uploads() -> None:
    def upload() -> None:
        raise RunError("another driver")

    uploader = Uploader(upload)
    with pytest.raises(RunError, match="another driver"):
        uploader.flush(5)
    with pytest.raises(RunError, match="another driver"):
        uploader.check()
