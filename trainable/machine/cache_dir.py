"""The cache folder, for log-mels, teacher targets and other results that are computed once."""

import os
from pathlib import Path

from spaces.files.errors import ConfigError

CACHE_VARIABLE = "VEER_CACHE"


def cache_dir() -> Path:
    """Return the cache folder: $VEER_CACHE, or `~/.cache/veer` if that is not set.

    Raises:
        ConfigError: It is not set, and this user has no home folder.
    """
    # An empty variable counts as not set.
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given).absolute()
    try:
        return (Path.home() / ".cache" / "veer").absolute()
    except RuntimeError as error:
        raise ConfigError(
            f"this user has no home folder ($HOME is not set): set ${CACHE_VARIABLE} to a folder "
            "for log-mels and other computed results"
        ) from error
