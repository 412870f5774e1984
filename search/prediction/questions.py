"""The question of a command line: settings file, overrides, values to vary, workers."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from results.analysis.run_view import RunView
from search.config.reading import read_search_config
from search.config.search_config import SearchConfig
from search.prediction.variants import Question, parsed_values
from spaces.files.errors import ConfigError

MOST_WORKERS = 1024
# What steers a simulated search; the page has these of the given settings.
SHOWN = ("space", "sampler", "decide_by", "num_trials", "max_epochs", "total_epochs", "scheduler",
         "repetitions", "repeat", "control", "time_limit_s", "stop_at", "resources")  # fmt: skip


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


def asked_lines(
    views: Sequence[RunView], question: Question, settings: SearchConfig, now: datetime
) -> Iterator[str]:
    """Yield what was asked, and when: the runs, the settings and what was changed in them.

    Args:
        views: The runs.
        question: The question.
        settings: The given settings, resolved.
        now: The time.
    """
    runs = ", ".join(f"{each.folder.path} ({len(each.own)} trials)" for each in views)
    changed = [
        f"{key}={'null' if value is None else value}" for key, value in question.given.items()
    ]
    changed += [f"{key}={','.join(map(str, own))}" for key, own in question.vary.items()]
    yield f"Simulated from {runs} on {now:%Y-%m-%d at %H:%M %Z}."
    read = settings.model_dump(mode="json", include=set(SHOWN), exclude_none=True)
    values = ", ".join(f"{key} {value}" for key, value in _flat(read))
    yield f"Settings of {question.source}: {values}."
    if changed:
        yield f"Set or varied on the command line: {'; '.join(changed)}."


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


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
