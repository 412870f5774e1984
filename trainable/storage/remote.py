"""A folder of an object store, by PyArrow's file systems: files are read and written whole.

Credentials and region are found as by the vendors' own tools; `AWS_ENDPOINT_URL_S3` or
`AWS_ENDPOINT_URL` names another S3 server than Amazon's.
"""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import fs

from spaces.files.disk import translate_disk_full
from trainable.storage.retrying import PATIENT, Patience, ShortAnswerError, missing_bucket, retried

T = TypeVar("T")
ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
CONNECT_TIMEOUT_S = 5.0
CHUNK_BYTES = 8 * 2**20


class RemoteFolder:
    """A folder of an object store; thread-safe.

    Args:
        uri: `s3://bucket/folder` or `gs://bucket/folder`.
        patience: How long a failed request is repeated.
    """

    def __init__(self, uri: str, patience: Patience = PATIENT) -> None:
        self.uri = uri
        self._patience = patience
        scheme, _, self._path = uri.partition("://")
        endpoint = next(filter(None, map(os.environ.get, ENDPOINT_VARIABLES)), None)
        self._fs = _file_system(scheme, endpoint)

    def child(self, name: str) -> "RemoteFolder":
        """Return a folder inside this one."""
        return RemoteFolder(f"{self.uri}/{name}", self._patience)

    def files(self) -> dict[str, int]:
        """Return the sizes in bytes of all files, by their names relative to this folder.

        Raises:
            StorageError: The store cannot be reached, or the bucket does not exist.
        """
        selector = fs.FileSelector(self._path, recursive=True, allow_not_found=True)
        found = self._try(lambda: self._fs.get_file_info(selector), "cannot be listed")
        # A bucket that is gone looks like an empty one.
        if not found:
            self._require_bucket()
        skip = len(self._path) + 1
        return {
            info.path[skip:]: info.size for info in found if info.type == fs.FileType.File
        }

    def size(self, name: str) -> int | None:
        """Return the size of a file in bytes, None where there is none.

        Raises:
            StorageError: The store cannot be reached, or the bucket does not exist.
        """
        info = self._try(
            lambda: self._fs.get_file_info(f"{self._path}/{name}"), "cannot be looked up", name
        )
        if info.type != fs.FileType.File:
            self._require_bucket()
            return None
        return int(info.size)

    def read(self, name: str) -> bytes:
        """Return the content of a small file.

        Raises:
            StorageError: The store cannot be reached, or its answers are cut short.
            FileNotFoundError: There is no such file.
        """
        chunks: list[bytes] = []

        def start() -> Callable[[bytes], object]:
            chunks.clear()
            return chunks.append

        self._receive(name, start)
        return b"".join(chunks)

    def fetch(self, name: str, target: Path) -> None:
        """Copy a file to this machine; it gets its name only when it is whole.

        Raises:
            StorageError: The store cannot be reached, or its answers are cut short.
            DiskFullError: There is no room here.
            FileNotFoundError: There is no such file.
        """
        partial = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
        with translate_disk_full(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("xb") as out:

                    def start() -> Callable[[bytes], object]:
                        out.seek(0)
                        out.truncate()
                        return out.write

                    self._receive(name, start)
                    out.flush()
                    os.fsync(out.fileno())
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)

    def put(self, source: Path, name: str) -> None:
        """Copy a file of this machine there; it appears whole or not at all.

        Raises:
            StorageError: The store cannot be reached, or does not take it.
            FileNotFoundError: The source does not exist.
        """
        if source.stat().st_size == 0:
            self.write(b"", name)
            return
        with pa.memory_map(os.fspath(source)) as mapped:
            self.write(mapped.read_buffer(), name)

    def write(self, content: Any, name: str) -> None:
        """Write a file; it appears whole or not at all.

        Args:
            content: Bytes, or a buffer of Arrow.
            name: Of the file, relative to this folder.

        Raises:
            StorageError: The store cannot be reached, or does not take it.
        """
        path, num_bytes = f"{self._path}/{name}", len(content)

        def write() -> None:
            # One call, so that a failure inside leaves nothing that closing would complete.
            with self._fs.open_output_stream(path) as out:
                out.write(content)
            found = self._fs.get_file_info(path).size
            if found != num_bytes:
                raise ShortAnswerError(f"{num_bytes} bytes were written, {found} arrived")

        self._try(write, "cannot be written", name)

    def delete(self, name: str) -> None:
        """Delete a file; one that does not exist is no error.

        Raises:
            StorageError: The store cannot be reached, or refuses.
        """

        def delete() -> None:
            with suppress(FileNotFoundError):
                self._fs.delete_file(f"{self._path}/{name}")

        self._try(delete, "cannot be deleted", name)

    def _receive(self, name: str, start: Callable[[], Callable[[bytes], object]]) -> None:
        """Pass a file's content on in pieces; `start` is called before each attempt."""
        path = f"{self._path}/{name}"

        def receive() -> None:
            take, num_bytes = start(), 0
            with self._fs.open_input_file(path) as source:
                expected = source.size()
                while content := source.read(CHUNK_BYTES):
                    take(content)
                    num_bytes += len(content)
            if num_bytes != expected:
                raise ShortAnswerError(f"it has {expected} bytes, {num_bytes} arrived")

        self._try(receive, "cannot be read", name)

    def _require_bucket(self) -> None:
        bucket = self._path.partition("/")[0]
        info = self._try(lambda: self._fs.get_file_info(bucket), "cannot be looked up")
        if info.type == fs.FileType.NotFound:
            raise missing_bucket(self.uri)

    def _try(self, act: Callable[[], T], what: str, name: str = "") -> T:
        return retried(act, what, f"{self.uri}/{name}".rstrip("/"), self._patience)


@lru_cache(maxsize=4)
def _file_system(scheme: str, endpoint: str | None) -> Any:
    if scheme == "gs":
        return fs.GcsFileSystem()
    return fs.S3FileSystem(
        endpoint_override=endpoint,
        connect_timeout=CONNECT_TIMEOUT_S,
        # A whole buffer is written at once; in the background a failure would come too late.
        background_writes=False,
        allow_delayed_open=True,
        # `retried` waits longer between its attempts than the library does.
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
    )
