"""A person with a home folder of their own."""

from pathlib import Path

import pytest

from search.cluster.tokens import TOKEN, TOKEN_PATH
from search.provenance.provenance import AUTH_MODE


def be_somebody(home: Path, patch: pytest.MonkeyPatch) -> None:
    """Be a person with this home folder, who has no token yet."""
    for name in (AUTH_MODE, TOKEN, TOKEN_PATH):
        patch.delenv(name, raising=False)
    patch.setenv("HOME", str(home))
    patch.setenv("COLUMNS", "200")
