"""What a run wrote, read back: journal, tables, benchmark, export.

`load` opens a run in a notebook; what it needs, pandas and Plotly among it, is imported only then.

May import: spaces.files, trainable.verification, results.analysis, results.figures,
results.journal, results.tables, results.terminal.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from results.notebook import Run

__all__ = ["load"]


def load(path: "str | Path") -> "Run":
    """Opens a run, which a search may be writing.

    Args:
        path: Its folder.

    Raises:
        RunError: It is no run folder, or its journal is damaged.
    """
    from results.notebook import Run

    return Run(Path(path))
