"""The command of a job: `veer search` or `veer resume`, as the head of a cluster runs it."""

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from search.cluster.check import SAME_VEER
from search.cluster.nodes import PYTHON_VARIABLE
from search.provenance.provenance import CODE_DIGITS, code_sha256
from spaces.files.complaints import did_you_mean
from spaces.files.errors import ConfigError

COMMANDS = ("search", "resume")
RUN_OPTION, ADDRESS_OPTION = "--run", "--address"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCommand:
    """A command of Veer for a job.

    Attributes:
        words: The words after `veer`.
        run: The run folder, an absolute path or a URI: it is seen from the cluster.
    """

    words: tuple[str, ...]
    run: str

    def entrypoint(self) -> str:
        """Return the line that the job's shell runs; the job is that process itself."""
        # -P: a numpy.py in the working folder is not imported.
        python = f'"${{{PYTHON_VARIABLE}:-python}}" -P -m'
        code = code_sha256()[:CODE_DIGITS]
        # Ray gives the address of the job's cluster in this variable.
        command = f'{shlex.join(self.words)} {ADDRESS_OPTION} "$RAY_ADDRESS"'
        return f"{python} search.jobs.command {code} && exec {python} search.cli {command}"


def job_command(words: Sequence[str]) -> JobCommand:
    """Check the command of a job.

    Args:
        words: The words after `veer`.

    Raises:
        ConfigError: It is no search, has no run folder that the cluster sees, or names a cluster.
    """
    name = words[0] if words else ""
    if name not in COMMANDS:
        raise ConfigError(
            f"veer submit sends `search` or `resume`, got {name!r}"
            f"{did_you_mean(name, COMMANDS)}; for example: veer submit search settings.yaml "
            "--run /shared/runs/first"
        )
    if ADDRESS_OPTION in {word.partition("=")[0] for word in words}:
        raise ConfigError(
            f"veer submit: the command must have no {ADDRESS_OPTION}; the job joins the cluster "
            "that it runs on"
        )
    run = _run_of(words)
    if not (os.path.isabs(run) or "://" in run):  # noqa: PTH117 - a path of another machine
        raise ConfigError(
            f"veer submit: the run folder must be an absolute path that all nodes share, got "
            f"{run!r}; a job starts in another folder than this one"
        )
    return JobCommand(words=tuple(words), run=run.rstrip("/"))


def fetch_entrypoint(run: str) -> str:
    """Return the line of the job that prints the results of a run."""
    python = f'exec "${{{PYTHON_VARIABLE}:-python}}" -P -m'
    return f"{python} search.jobs.sent_files {shlex.quote(run)}"


def require_same_code(code: str) -> None:
    """Refuse a job from a machine with other code; the nodes' versions are compared later.

    Raises:
        ConfigError: The code differs.
    """
    if (here := code_sha256()[:CODE_DIGITS]) != code:
        raise ConfigError(
            f"the job was sent by a machine with other code of Veer ({code}) than that of the "
            f"head ({here}): {SAME_VEER}"
        )


def _run_of(words: Sequence[str]) -> str:
    """Return the run folder that a command names."""
    for number, word in enumerate(words):
        option, is_joined, value = word.partition("=")
        if option == RUN_OPTION and (is_joined or number + 1 < len(words)):
            return value if is_joined else words[number + 1]
    if words[0] == "resume":
        # An option's value could stand first; then its path decides nothing that is not checked.
        paths = [word for word in words[1:] if not word.startswith("-")]
        if paths:
            return paths[0]
    raise ConfigError(
        f"veer submit {words[0]} must name the run folder: "
        + ("--run /shared/runs/first" if words[0] == "search" else "resume /shared/runs/first")
    )


if __name__ == "__main__":
    try:
        require_same_code(sys.argv[1])
    except ConfigError as error:
        sys.exit(f"error {error}")
