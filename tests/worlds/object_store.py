"""An S3 server on loopback (moto's), behind a proxy that can answer as a bad network does."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

BUCKET = "bucket"
REFUSAL = (
    '<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
)
# Headers between two machines, which a proxy does not pass on.
_HOP = {"connection", "transfer-encoding", "keep-alive", "server", "date", "content-length"}


class ObjectStore:
    """The server, and what it does to requests.

    Attributes:
        url: Of the proxy, for `AWS_ENDPOINT_URL`.
        num_requests: Requests so far, by method and key.
        fault: What happens to requests: `None`, `500`, `403`, `truncated` or `slow`.
        num_faults: How many of the next requests have it; -1 all.
        only: Methods that it happens to; empty all.
        delay_s: Before each answer where the fault is `slow`.
    """

    def __init__(self) -> None:
        # The server's own log of requests goes to the screen otherwise.
        self._moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._moto.start()
        self.target = self._moto.get_host_and_port()
        self.num_requests: Counter[tuple[str, str]] = Counter()
        self.fault: str | None = None
        self.num_faults, self.delay_s = -1, 0.0
        self.only: tuple[str, ...] = ()
        self._lock = threading.Lock()
        store = self

        class Handler(_Handler):
            owner = store

        self._proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._proxy.daemon_threads = True
        self._thread = threading.Thread(target=self._proxy.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._proxy.server_port}"
        self.request("PUT", f"/{BUCKET}")

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Send a request to the server itself, past the proxy."""
        connection = http.client.HTTPConnection(*self.target, timeout=20)
        connection.request(method, path, body)
        content = connection.getresponse().read()
        connection.close()
        return content

    def set_fault(
        self, fault: str | None, number: int = -1, *only: str, delay_s: float = 0.0
    ) -> None:
        """Answer the next requests (-1: all) of some methods with a fault."""
        with self._lock:
            self.fault, self.num_faults, self.only, self.delay_s = fault, number, only, delay_s

    def take_fault(self, method: str, path: str) -> str | None:
        """Count a request, and return the fault that it meets."""
        with self._lock:
            self.num_requests[method, path.partition("?")[0]] += 1
            if self.fault is None or self.num_faults == 0:
                return None
            if self.only and method not in self.only:
                return None
            self.num_faults -= 1
            return self.fault

    def stop(self) -> None:
        """End both servers."""
        self._proxy.shutdown()
        self._proxy.server_close()
        self._moto.stop()


class _Handler(BaseHTTPRequestHandler):
    owner: ObjectStore
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def handle_any(self) -> None:
        owner, body = self.owner, self._body()
        fault = owner.take_fault(self.command, self.path)
        if fault == "slow":
            time.sleep(owner.delay_s)
        if fault in ("500", "403"):
            code = "InternalError" if fault == "500" else "InvalidAccessKeyId"
            self._answer(int(fault), {}, REFUSAL.format(code=code).encode())
            return
        connection = http.client.HTTPConnection(*owner.target, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
        connection.request(self.command, self.path, body, headers)
        found = connection.getresponse()
        content, kept = found.read(), dict(found.getheaders())
        connection.close()
        if fault == "truncated" and self.command == "GET" and len(content) > 1:
            self._answer(found.status, kept, content, len(content) // 2)
            return
        self._answer(found.status, kept, content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return content

    def _answer(
        self, status: int, headers: dict[str, str], content: bytes, most: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:most])
        if most is not None:
            self.close_connection = True


@contextmanager
def object_store(patch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """A server, which this process and all that it starts take for Amazon's."""
    store = ObjectStore()
    try:
        patch.setenv("AWS_ENDPOINT_URL", store.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "of-the-tests")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-tests")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield store
    finally:
        store.stop()
