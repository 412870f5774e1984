"""CPU time (user and system) from a command to its answer.

`make bench NAME=startup`, or `python -m tests.benchmarks.startup`. The help of commands is
compared with `import typer, rich`; the help of a Typer program of one option, printed beside it,
is what Typer itself needs. `veer trials` and `veer show`, on a made-up run of 30 trials, are
compared with `import pyarrow, pandas`. Each is the smallest of several processes in the same run.
"""

import argparse
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.report import Verdict, finish_all
from tests.worlds.made_up_run import write_made_up_run
from trainable.machine.hardware import cpu_name

VEER = "from search.cli.entry import main; main()"
ONE_OPTION = """
import typer
app = typer.Typer()
@app.command()
def command(number: int = 0) -> None:
    "Do nothing."
app()
"""
MAX_HELP_RATIO = 2.5
MAX_SECONDS_MORE = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench NAME=startup")
    parser.add_argument("--rounds", type=int, default=5, help="processes of each kind")
    rounds = parser.parse_args().rounds
    print(f"CPU: {cpu_name()}")
    bare = _report("import typer, rich", rounds, "import typer, rich")
    _report("help of one option", rounds, ONE_OPTION, "--help")
    tables = _report("import pyarrow, pandas", rounds, "import pyarrow, pandas")
    verdicts = []
    for words in (["--help"], ["search", "--help"]):
        name = " ".join(["veer", *words])
        ratio = _report(name, rounds, VEER, *words) / bare
        verdicts.append(Verdict(name=name, ratio=ratio, target=MAX_HELP_RATIO, is_limit=True))
    with TemporaryDirectory() as folder:
        run = str(write_made_up_run(Path(folder) / "run").path)
        for words in (["trials", run], ["show", run, "1"]):
            name = f"veer {words[0]}, seconds more"
            more = _report(f"veer {words[0]}", rounds, VEER, *words) - tables
            verdicts.append(
                Verdict(name=name, ratio=more, target=MAX_SECONDS_MORE, is_limit=True)
            )
    finish_all(verdicts)


def _report(name: str, rounds: int, code: str, *arguments: str) -> float:
    """Print and return the least CPU seconds of a Python process."""
    least_s = min(_cpu_s(code, *arguments) for _ in range(rounds))
    print(f"{name}: {least_s:.2f} s of CPU")
    return least_s


def _cpu_s(code: str, *arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
