"""Reading and showing what a run wrote: journal, tables, charts, page, export.

`load` opens a run in a notebook. pandas and Plotly are imported when it is called, so that other
users of this package do not load them.

May import: spaces.files, trainable.verification, results.analysis, results.figures,
results.journal, results.records, results.tables, results.terminal.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from results.notebook import Run

__all__ = ["load"]


def load(path: "str | Path") -> "Run":
    """Open a run; its search may be running.

    Args:
        path: The run folder.

    Raises:
        RunError: The folder is not a run folder, or its journal is damaged.
    """
    from results.notebook import Run

    return Run(Path(path))
