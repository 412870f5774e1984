"""Seconds from the command of a search to its first epoch, and likewise of a resumed one.

`make bench NAME=search_start`, or `python -m tests.benchmarks.search_start`. The search is tiny,
with a teacher whose targets are stored, so nearly all of the time is the start: imports, Ray, the
worker. It is compared with the least that any search on Ray Tune needs: a program that imports
what it needs, starts Ray, and gets the first result of a trial whose worker imports PyTorch. Each
is the smallest of several rounds, in turns.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from spaces.files.yaml_file import write_yaml
from tests.benchmarks.report import Verdict, finish_all
from tests.search.real_search import num_records
from tests.worlds.tiny_world import build_tiny_world, small_search
from trainable.machine.hardware import cpu_name

VEER = "from search.cli.entry import main; main()"
PLAIN = """
import os, sys
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
import optuna, ray, torch
from ray import tune
class Trial(tune.Trainable):
    def setup(self, config):
        import torch, torchaudio
        self.mark = config["mark"]
    def step(self):
        open(self.mark, "w").close()
        return {"veer_pct": 1.0, "done": True}
    def save_checkpoint(self, folder):
        pass
ray.init("local", include_dashboard=False, log_to_driver=False)
tune.run(Trial, config={"mark": sys.argv[1]}, num_samples=1, verbose=0)
"""
TARGET_S = 8.0
MAX_EPOCHS = 1000  # never reached: the search is ended after its first epoch
POLL_S = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench NAME=search_start")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, the smallest counts")
    rounds = parser.parse_args().rounds
    print(f"CPU: {cpu_name()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        found = [_round(Path(name), number) for number in range(rounds)]
    plain_s, search_s, resume_s = (min(each) for each in zip(*found, strict=True))
    print(f"plain Ray Tune {plain_s:.2f} s, search {search_s:.2f} s, resume {resume_s:.2f} s")
    print(f"over plain Ray Tune: search {search_s / plain_s:.2f}, resume {resume_s / plain_s:.2f}")
    named = (("search", search_s), ("resume", resume_s))
    finish_all([
        Verdict(name=f"{name}, s", ratio=seconds, target=TARGET_S, is_limit=True)
        for name, seconds in named
    ])  # fmt: skip


def _round(folder: Path, number: int) -> tuple[float, float, float]:
    """Return the seconds of plain Ray Tune, of a new search, and of a resumed one."""
    world = folder / "world"
    if not world.exists():
        build_tiny_world(world)
    os.environ["VEER_CACHE"] = str(world / "cache")
    settings, run, mark = folder / "s.yaml", folder / f"run-{number}", folder / f"plain-{number}"
    write_yaml(settings, small_search(world) | {"max_epochs": MAX_EPOCHS})
    plain_s = _seconds([PLAIN, str(mark)], folder, lambda: mark.exists())
    seconds = [plain_s]
    for words in (["search", str(settings), "--run", str(run)], ["resume", str(run)]):
        before = num_records(run, "epoch")
        seconds.append(
            _seconds([VEER, *words], folder, lambda at=before: num_records(run, "epoch") > at)
        )
    print(f"round {number + 1}: {', '.join(f'{each:.2f}' for each in seconds)} s", flush=True)
    return seconds[0], seconds[1], seconds[2]


def _seconds(code: Sequence[str], folder: Path, is_there: Callable[[], bool]) -> float:
    """Return the seconds from the start of a program to a sign of it; then end it."""
    begin_s = time.monotonic()
    with (folder / "out").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", *code], stdout=out, stderr=subprocess.STDOUT
        )
    while not is_there():
        if process.poll() is not None and not is_there():
            sys.exit(f"it ended too early:\n{(folder / 'out').read_text()}")
        time.sleep(POLL_S)
    seconds = time.monotonic() - begin_s
    process.send_signal(signal.SIGTERM)
    process.wait()
    return seconds


if __name__ == "__main__":
    main()
