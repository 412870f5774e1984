"""Requests that are repeated with growing waits, and what their last failure means to a person."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from spaces.files.errors import StorageError

T = TypeVar("T")
# What the error's text holds, in capital letters, by AWS's and Google's libraries.
_NO_BUCKET = ("NO_SUCH_BUCKET", "BUCKET DOES NOT EXIST", "NOSUCHBUCKET")
_NO_RIGHT = (
    "ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "EXPIRED",
    "UNAUTHORIZED", "HTTP STATUS 401", "HTTP STATUS 403", "HTTP RESPONSE CODE: 403",
    "PERMISSION_DENIED", "UNAUTHENTICATED", "INVALID_CLIENT_TOKEN_ID", "UNRECOGNIZED_CLIENT",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a request is repeated.

    Attributes:
        attempts: Most attempts.
        first_wait_s: Wait after the first failure, seconds; it doubles after each.
        most_wait_s: Longest wait, seconds.
    """

    attempts: int = 6
    first_wait_s: float = 0.5
    most_wait_s: float = 15.0

    def wait_s(self, failures: int) -> float:
        """Return the wait after so many failures in a row, seconds."""
        return min(self.first_wait_s * 2.0 ** min(failures - 1, 30), self.most_wait_s)


# Of a command, for which a person waits: 16 s in all.
PATIENT = Patience()
# Of a trial and its store, for which nobody waits: 90 s in all, so that an outage of a minute
# costs no attempt of the trial.
TRIAL = Patience(attempts=11)
# More attempts do not help where a right is missing; credentials may be renewed at this moment.
ATTEMPTS_WITHOUT_RIGHT = 4


class ShortAnswerError(OSError):
    """An answer has fewer bytes than the store says that the file has."""


def retried(act: Callable[[], T], what: str, uri: str, patience: Patience) -> T:
    """Return what a function returns, called again after failures of the store.

    Args:
        act: May raise an OSError, then has no effect that a second call would not have.
        what: What it does, for the message, as in `cannot be read`.
        uri: What it is about.
        patience: How often and how long.

    Raises:
        StorageError: Every attempt failed, or no other can succeed.
        FileNotFoundError: There is no such file; not repeated.
    """
    failures = 0
    while True:
        try:
            return act()
        except FileNotFoundError:
            raise
        except OSError as error:
            failures += 1
            most = patience.attempts
            if _names(error, _NO_RIGHT):
                most = min(most, ATTEMPTS_WITHOUT_RIGHT)
            if failures >= most or _names(error, _NO_BUCKET):
                raise StorageError(_message(error, what, uri, failures)) from error
            time.sleep(patience.wait_s(failures))


def missing_bucket(uri: str) -> StorageError:
    """Return the error for a bucket that does not exist."""
    bucket = uri.partition("://")[2].partition("/")[0]
    return StorageError(
        f"{uri}: the bucket must exist, got none named {bucket}; create it, or correct the URI"
    )


def _names(error: OSError, texts: tuple[str, ...]) -> bool:
    said = str(error).upper()
    return any(text in said for text in texts)


def _message(error: OSError, what: str, uri: str, failures: int) -> str:
    if _names(error, _NO_BUCKET):
        return str(missing_bucket(uri))
    if _names(error, _NO_RIGHT):
        fix = (
            "the credentials of this machine must have the right to list, read, write and delete "
            "there: renew them (AWS_ACCESS_KEY_ID, ~/.aws/credentials or the machine's role; "
            "GOOGLE_APPLICATION_CREDENTIALS for gs://)"
        )
    elif isinstance(error, ShortAnswerError):
        fix = "something between here and the store cuts answers short; no part of one was used"
    else:
        fix = "check the network and the store (AWS_ENDPOINT_URL for one of your own)"
    times = "once" if failures == 1 else f"{failures} times"
    return f"{uri}: {what}, tried {times}: {str(error).strip()}; {fix}"
