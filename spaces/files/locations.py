"""Places that a person names: a path, or a folder of an object store as `s3://` or `gs://`.

All of Veer works on files of this machine. A folder of an object store has a working copy here
(`mirror_folder`), which has a file that names where it belongs; `trainable.storage` moves files
between the two.
"""

import hashlib
import os
import re
from pathlib import Path

from spaces.files.atomic import write_text_atomically
from spaces.files.errors import ConfigError

LOCAL_VARIABLE = "VEER_LOCAL"
# In a working copy: one line, the URI of the folder that it is a copy of.
ORIGIN_FILE = "storage-uri.txt"
DIGEST_DIGITS = 12
# One slash is enough: `pathlib` merges the two, and options and settings are paths.
_URI = re.compile(r"(s3|gs):/+([^/]+(?:/.*)?)")
# What other programs call these, and schemes that are easily tried.
_OTHER_SCHEMES = re.compile(r"(s3a|s3n|gcs|https?|file|hdfs|az|abfss?|wasbs?|ftp):/")
_MEANT = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}


def uri_of(place: str | Path) -> str | None:
    """Return the URI that a place is, without a slash at its end; None where it is a path.

    Raises:
        ConfigError: It is a URI of another kind, or one without a bucket.
    """
    text = str(place)
    if found := _URI.fullmatch(text):
        return f"{found[1]}://{re.sub('/+', '/', found[2]).rstrip('/')}"
    if text.rstrip("/") in ("s3:", "gs:"):
        raise ConfigError(f"{text}: a URI must name a bucket, such as s3://bucket/runs/first")
    if other := _OTHER_SCHEMES.match(text):
        meant = _MEANT.get(other[1])
        hint = f"; did you mean {meant}://{text[other.end() :].lstrip('/')}?" if meant else ""
        raise ConfigError(f"{text}: must be a path, s3:// or gs://, got {other[1]}:{hint}")
    return None


def local_root() -> Path:
    """Return the folder of all working copies: $VEER_LOCAL, or `~/.cache/veer/storage`.

    Raises:
        ConfigError: It is not set, and this user has no home folder.
    """
    if given := os.environ.get(LOCAL_VARIABLE):
        return Path(given).absolute()
    try:
        return (Path.home() / ".cache" / "veer" / "storage").absolute()
    except RuntimeError as error:
        raise ConfigError(
            f"this user has no home folder ($HOME is not set): set ${LOCAL_VARIABLE} to a folder "
            "for copies of what is in object storage"
        ) from error


def mirror_path(uri: str) -> Path:
    """Return the folder of this machine that is the working copy of a URI; need not exist."""
    digest = hashlib.sha256(uri.encode()).hexdigest()[:DIGEST_DIGITS]
    name = re.sub(r"[^\w.-]", "_", uri.rpartition("/")[2])
    return local_root() / f"{name}-{digest}"


def mirror_folder(uri: str) -> Path:
    """Return the working copy of a URI; made, with the file that names the URI, if missing.

    Raises:
        ConfigError: It cannot be made.
    """
    folder = mirror_path(uri)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / ORIGIN_FILE).exists():
            write_text_atomically(folder / ORIGIN_FILE, uri + "\n")
    except OSError as error:
        raise ConfigError(
            f"{folder}: the working copy of {uri} cannot be made there "
            f"({error.strerror or error}); set ${LOCAL_VARIABLE} to another folder"
        ) from error
    return folder


def origin_of(folder: Path) -> str | None:
    """Return the URI that a folder is a working copy of; None for any other folder."""
    try:
        return (folder / ORIGIN_FILE).read_text().strip()
    except OSError:
        return None


def name_for_people(folder: Path) -> Path | str:
    """Return the URI of a working copy, which people know it by; any other folder as it is."""
    return origin_of(folder) or folder
