"""The token that a Ray cluster demands from every process: how it is found, made, protected.

Searched in the same order as Ray does: `$RAY_AUTH_TOKEN`, then the file that
`$RAY_AUTH_TOKEN_PATH` names, then `~/.ray/auth_token`. Only processes of the same user may read
it; it appears in no log and on no command line.
"""

import hashlib
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import ray
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

from search.provenance.provenance import AUTH_MODE
from spaces.files.errors import ConfigError

TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105 - a variable's name
TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"  # noqa: S105 - likewise
# 256 bits, written as 64 hexadecimal digits.
NUM_BYTES = 32
FILE_MODE = 0o600
OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token and its source.

    Attributes:
        value: The secret; not shown by `repr`.
        source: The variable or file that holds it, for messages.
        file: Its file, None for a token from the environment.
    """

    value: str = field(repr=False)
    source: str
    file: Path | None = None

    @property
    def fingerprint(self) -> str:
        """First hexadecimal digits of the token's SHA-256: two machines compare them in public."""
        return hashlib.sha256(self.value.encode()).hexdigest()[:12]


def token_file() -> Path:
    """Return the path of this user's token file, which may be missing."""
    named = os.environ.get(TOKEN_PATH)
    return Path(named) if named else Path.home() / ".ray" / "auth_token"


def find_token() -> Token | None:
    """Return this process's token, None if there is none.

    Raises:
        ConfigError: The file exists, but cannot be read or holds no token.
    """
    if value := os.environ.get(TOKEN, "").strip():
        return Token(value=_checked(value, f"${TOKEN}"), source=f"${TOKEN}")
    file = token_file()
    try:
        # Bytes outside ASCII are replaced by a character that `_checked` refuses.
        value = file.read_bytes().decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{file}: cannot read the token: {error.strerror or error}") from error
    return Token(value=_checked(value, str(file)), source=str(file), file=file)


def make_token() -> Token:
    """Write a new token to the token file, which no other user may read, and return it.

    Raises:
        ConfigError: The file cannot be written.
    """
    file = token_file()
    value = secrets.token_hex(NUM_BYTES)
    partial: Path | None = None
    # Renamed from a temporary file: no process reads half a token, and at no moment others may.
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # mode 0600
        partial = Path(name)
        with os.fdopen(number, "w") as out:
            out.write(value)
            # Before the rename: after a crash of the machine the file must not be empty.
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
    except OSError as error:
        if partial is not None:
            partial.unlink(missing_ok=True)
        raise ConfigError(
            f"{file}: cannot write the token: {error.strerror or error}; name another file in "
            f"${TOKEN_PATH}"
        ) from error
    return Token(value=value, source=str(file), file=file)


def keep_from_others(token: Token) -> str | None:
    """Remove other users' rights to a token's file: Ray itself creates it readable for all.

    Returns:
        What was wrong and done about it, in a sentence; None if the mode was right.
    """
    if token.file is None or not (mode := stat.S_IMODE(token.file.stat().st_mode)) & OTHERS:
        return None
    found = f"{token.file}: other users of this machine could use the token (mode {mode:04o})"
    try:
        token.file.chmod(FILE_MODE)
    except OSError as error:
        return f"{found}, and its mode cannot be changed: {error.strerror or error}"
    return f"{found}; it now has mode {FILE_MODE:04o}"


@contextmanager
def ray_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set Ray's variables of authentication inside the block, over the user's own values.

    Ray reads them once a process, so it is made to read them again.

    Raises:
        RuntimeError: This process is connected; Ray would end it at its next call, whose token
            would be another.
    """
    if ray.is_initialized():
        raise RuntimeError("the variables of authentication are read again while Ray is connected")
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    _read_again()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        _read_again()


def own_ray_variables() -> dict[str, str]:
    """Return the variables for a local Ray: with a new token that no other process knows."""
    return {AUTH_MODE: "token", TOKEN: secrets.token_hex(NUM_BYTES)}


def cluster_variables(token: Token | None) -> dict[str, str]:
    """Return the variables with which a driver presents its token; the user's own mode wins."""
    return {} if token is None or AUTH_MODE in os.environ else {AUTH_MODE: "token"}


def _checked(value: str, source: str) -> str:
    if value.isascii() and value.isprintable() and value and " " not in value:
        return value
    raise ConfigError(
        f"{source}: a token is a line of printable ASCII without spaces, got {len(value)} "
        "characters that are not; copy it again from the machine of `veer cluster head`, or "
        "remove the file"
    )


def _read_again() -> None:
    """Make Ray drop its cached configuration and token; it has no public call for that."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
