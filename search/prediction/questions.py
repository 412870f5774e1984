"""The question of a command line: settings file, overrides, values to vary, workers."""

from collections.abc import Sequence
from pathlib import Path

from results.analysis.run_view import RunView
from search.config.reading import read_search_config
from search.prediction.variants import Question, parsed_values
from spaces.files.errors import ConfigError

MOST_WORKERS = 1024


def make_question(
    last: RunView,
    settings: Path | None,
    *,
    assignments: Sequence[str],
    vary: Sequence[str],
    workers: str | None,
) -> Question:
    """Return the question.

    Args:
        last: The run whose settings are taken where no file is given.
        settings: A settings file; None for those of the run.
        assignments: `KEY=VALUE` of `--set`.
        vary: `KEY=VALUES` of `--vary`, values separated by commas.
        workers: Numbers separated by commas; None for `max_concurrent` of the settings, or 1.

    Raises:
        ConfigError: One of them is invalid.
    """
    source = settings or last.folder.settings
    given = parsed_values(assignments, "--set")
    if workers is None:
        own = read_search_config(source, given).max_concurrent or 1
        numbers: tuple[int, ...] = (own,)
    else:
        numbers = _numbers(workers)
    return Question(
        source=source, given=given, vary=parsed_values(vary, "--vary"), workers=numbers
    )


def _numbers(text: str) -> tuple[int, ...]:
    found = []
    for part in text.split(","):
        word = part.strip().replace("_", "")
        if not word.isdecimal() or not 1 <= int(word) <= MOST_WORKERS:
            raise ConfigError(
                f"--workers takes whole numbers from 1 to {MOST_WORKERS:,}, separated by commas, "
                f"as in 1,2,8, got {text!r}"
            )
        found.append(int(word))
    return tuple(dict.fromkeys(found))
