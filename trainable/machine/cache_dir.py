"""The cache folder, for log-mels, teacher targets and other results that are computed once.

It may be in object storage; each machine then has a working copy of what it uses.
"""

import os
from pathlib import Path

from spaces.files.errors import ConfigError
from spaces.files.locations import mirror_folder, uri_of

CACHE_VARIABLE = "VEER_CACHE"


def cache_dir() -> Path:
    """Return the cache folder: $VEER_CACHE, or `~/.cache/veer` if that is not set.

    For a URI it is the working copy on this machine.

    Raises:
        ConfigError: It is not set, and this user has no home folder; or it is a URI of another
            kind.
    """
    # An empty variable counts as not set.
    if given := os.environ.get(CACHE_VARIABLE):
        uri = uri_of(given)
        return Path(given).absolute() if uri is None else mirror_folder(uri)
    try:
        return (Path.home() / ".cache" / "veer").absolute()
    except RuntimeError as error:
        raise ConfigError(
            f"this user has no home folder ($HOME is not set): set ${CACHE_VARIABLE} to a folder "
            "for log-mels and other computed results"
        ) from error
