"""The classes of a model that voxceleb_trainer trained on a list."""

import unicodedata
from pathlib import Path

from spaces.files.errors import CorpusError
from trainable.lists.parsing import parse_train_list


def trainers_classes(path: Path) -> tuple[str, ...]:
    """Return the speakers of a train list in the order in which voxceleb_trainer numbers them.

    Raises:
        CorpusError: The list has faults.
    """
    faults: list[str] = []
    parse_train_list(path, path.parent, faults, check_files=False)
    if faults:
        raise CorpusError(faults)
    # By the names as they are written: another form of Unicode may sort elsewhere.
    lines = path.read_text("utf-8-sig").splitlines()
    written = sorted({line.split()[0] for line in lines if line.strip()})
    return tuple(unicodedata.normalize("NFC", name) for name in written)
