"""Other tools in an environment of their own, as the benchmark `search` asks them.

`peers/protocol.py` describes the lines that are exchanged. The environment is made with pip from
the configured package index on first use.
"""

import json
import math
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spaces.dimensions import Choice, Dimension, Float, Integer
from spaces.space import Space

# Syne Tune's CQR imports the last one without naming it among its requirements.
PACKAGES = ("syne-tune==0.16.*", "neural-pipeline-search==0.17.*", "smac==2.4.*",
            "huggingface_hub")  # fmt: skip
SCRIPTS = Path(__file__).with_name("peers")


def peer_python(folder: Path) -> Path:
    """Return the Python of the environment in a folder; make it if it has not all packages."""
    python, made = folder / "bin" / "python", folder / "packages.txt"
    wanted = "\n".join(PACKAGES)
    if not made.exists() or made.read_text() != wanted:
        print(f"installing {', '.join(PACKAGES)} in {folder}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", *PACKAGES], check=True)
        made.write_text(wanted)
    return python


class PeerProcess:
    """A peer's script, which plays one search after the other.

    Args:
        python: The environment's Python.
        script: Name of the script.
    """

    def __init__(self, python: Path, script: str) -> None:
        # A relative path would count from the script's folder.
        command = [str(python.absolute()), str(SCRIPTS / script)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=SCRIPTS,
        )  # fmt: skip

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send a line and return the answer.

        Raises:
            RuntimeError: The script died; with its last lines.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            _, error = self._process.communicate()
            raise RuntimeError(f"{self._process.args} died:\n{error[-2000:]}")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """End the script."""
        self._process.communicate()


class PeerTool:
    """One search of a peer.

    Args:
        process: Its script.
        kind: Which of its methods.
        space: The space.
        max_epochs: Epochs of a trial at full length.
        seed: Seed of the search.
        first: The prior, at most one config.
    """

    def __init__(
        self,
        process: PeerProcess,
        kind: str,
        space: Space,
        *,
        max_epochs: int,
        seed: int,
        first: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._process, self._space = process, space
        new = {
            "kind": kind,
            "space": [plain_dimension(each) for each in space.dimensions],
            "max_epochs": max_epochs,
            "seed": seed,
            "first": [dict(each) for each in first],
        }
        process.answer({"new": new})

    def suggest(self) -> tuple[int, dict[str, Any]]:
        answer = self._process.answer({"ask": None})
        params = answer["params"]
        # A tool without conditions gives inactive parameters too.
        return answer["trial"], self._space.sample(lambda each: fitting(each, params[each.name]))

    def report(self, trial: int, epoch: int, figure_pct: float) -> bool:
        diverged = math.isnan(figure_pct)
        figure = 0.0 if diverged else float(figure_pct)
        told = {"trial": trial, "epoch": epoch, "figure_pct": figure, "diverged": diverged}
        return bool(self._process.answer({"tell": told})["go_on"])


def plain_dimension(dimension: Dimension) -> dict[str, Any]:
    """Return a dimension in the form of the protocol."""
    when = {each.parameter: list(each.values) for each in dimension.when}
    plain: dict[str, Any] = {"name": dimension.name, "when": when}
    plain |= {"low": 0, "high": 0, "log": False, "choices": []}
    match dimension:
        case Choice(choices=choices):
            return plain | {"type": "choice", "choices": list(choices)}
        case Float(low=low, high=high, log=log):
            return plain | {"type": "float", "low": low, "high": high, "log": log}
        case Integer(low=low, high=high, log=log):
            return plain | {"type": "int", "low": low, "high": high, "log": log}
    raise TypeError(f"no form for {dimension!r}")


def fitting(dimension: Dimension, value: Any) -> Any:
    """Return a value inside its range, which a tool's rounding may have left."""
    match dimension:
        case Float(low=low, high=high):
            return min(high, max(low, float(value)))
        case Integer(low=low, high=high):
            return min(high, max(low, int(value)))
    return value


if __name__ == "__main__":
    print(peer_python(Path(sys.argv[1])))
