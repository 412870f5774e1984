"""The token that a Ray cluster demands of whoever joins it: found, made, kept from other users.

It is looked for where Ray does: `$RAY_AUTH_TOKEN`, then the file that `$RAY_AUTH_TOKEN_PATH`
names, then `~/.ray/auth_token`. Only processes of the same user are to read it; it stands in no
log and on no command line.
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

from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

from search.provenance.provenance import MODE
from spaces.files.errors import ConfigError

TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105 - a variable's name
TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"  # noqa: S105 - likewise
NUM_BYTES = 32
FILE_MODE = 0o600
OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token.

    Attributes:
        value: The secret; not shown by `repr`.
        place: Where it was found, for messages.
        file: Its file, None where it stands in the environment.
    """

    value: str = field(repr=False)
    place: str
    file: Path | None = None

    @property
    def fingerprint(self) -> str:
        """What two machines can compare without showing the token."""
        return hashlib.sha256(self.value.encode()).hexdigest()[:12]


def token_file() -> Path:
    """Where this user's token is kept."""
    named = os.environ.get(TOKEN_PATH)
    return Path(named) if named else Path.home() / ".ray" / "auth_token"


def find_token() -> Token | None:
    """This process's token, None where there is none.

    Raises:
        ConfigError: There is a file, but it cannot be read or holds no token.
    """
    if value := os.environ.get(TOKEN, "").strip():
        return Token(value=_checked(value, f"${TOKEN}"), place=f"${TOKEN}")
    file = token_file()
    try:
        value = file.read_bytes().decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{file}: cannot read the token: {error.strerror or error}") from error
    return Token(value=_checked(value, str(file)), place=str(file), file=file)


def make_token() -> Token:
    """Puts a new token into its file, which nobody else may read, and returns it.

    Raises:
        ConfigError: The file cannot be written.
    """
    file = token_file()
    value = secrets.token_hex(NUM_BYTES)
    partial: Path | None = None
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # mode 0600
        partial = Path(name)
        with os.fdopen(number, "w") as out:
            out.write(value)
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
    return Token(value=value, place=str(file), file=file)


def keep_from_others(token: Token) -> str | None:
    """Takes other users' rights to a token's file away; Ray itself writes it for all to read.

    Returns:
        What was found and done, in a sentence; None where there was nothing to mend.
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
def ray_told(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets Ray's variables of authentication for a while, over what the person has set.

    Ray reads them once a process, so it is made to read them again; not to be used while this
    process is connected.
    """
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


def of_this_process() -> dict[str, str]:
    """Variables of a Ray that this process starts for itself: a token that nobody else knows."""
    return {MODE: "token", TOKEN: secrets.token_hex(NUM_BYTES)}


def of_a_cluster(token: Token | None) -> dict[str, str]:
    """Variables that make a driver show its token; a mode that the person has set stands."""
    return {} if token is None or MODE in os.environ else {MODE: "token"}


def _checked(value: str, place: str) -> str:
    if value.isascii() and value.isprintable() and value and " " not in value:
        return value
    raise ConfigError(
        f"{place}: a token is a line of printable ASCII without spaces, got {len(value)} "
        "characters that are not; copy it again from the machine of `veer cluster head`, or "
        "remove the file"
    )


def _read_again() -> None:
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
