"""A user with an empty home folder, without a token."""

from pathlib import Path

import pytest

from search.cluster.tokens import TOKEN, TOKEN_PATH
from search.provenance.provenance import AUTH_MODE


def use_empty_home(home: Path, patch: pytest.MonkeyPatch) -> None:
    """Set the home folder to `home`, and unset all variables of tokens."""
    for name in (AUTH_MODE, TOKEN, TOKEN_PATH):
        patch.delenv(name, raising=False)
    patch.setenv("HOME", str(home))
    patch.setenv("COLUMNS", "200")
