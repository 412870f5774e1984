"""The cache folder, for log-mels, teacher targets and other results that are computed once."""

import os
from pathlib import Path

CACHE_VARIABLE = "VEER_CACHE"


def cache_dir() -> Path:
    """Return the cache folder: $VEER_CACHE, or `~/.cache/veer` if that is not set."""
    # `or`, so that an empty variable counts as not set.
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "veer").absolute()
