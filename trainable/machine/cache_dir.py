"""Where Veer keeps what it computes once."""

import os
from pathlib import Path

CACHE_VARIABLE = "VEER_CACHE"


def cache_dir() -> Path:
    """Folder of computed log-mels: $VEER_CACHE, or `~/.cache/veer`."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "veer").absolute()
