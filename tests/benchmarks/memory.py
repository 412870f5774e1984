"""Memory of concurrent trials over one store: what a further trial adds, without shared pages.

`make bench NAME=memory`, or `python -m tests.benchmarks.memory`; `--rows 2000` for a smaller
store. It writes stores of made-up log-mels and teacher targets, a small one (76 MB) and a large
one (760 MB). One, two and four processes at a time each open them as a run does, train a few steps
of a small student with stored targets, and read the whole store. While all of them still hold it,
`/proc/PID/smaps` gives the memory of each process, and the part of it that belongs to the store:

    RssAnon, RssFile  resident memory without a file, and resident memory of a file
    PSS               both together; a page that n processes share counts as a n-th
    USS               what a process shares with no other: private clean and dirty pages

There are two measures of what a trial adds without shared pages. One is its USS. The other is what
each further process adds to the sum of PSS without the store's part; it is a little more, because
of libraries that a further process shares with fewer others than the first. A single process does
not share the store, so its USS is meaningful only beside a second process. The target: the USS of
each of two trials is at most a tenth larger with the large store than with the small one. Without
/proc the command prints that and ends with status 2.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from tests.benchmarks.report import finish

SMALL_ROWS, LARGE_ROWS = 1_000, 10_000
NUM_PROCESSES = (1, 2, 4)
COMPARED = 2
TARGET = 1 / 1.1
PROC = Path("/proc")
NO_PROC = 2
TRIAL = (sys.executable, "-m", "tests.benchmarks.memory_trial")
SHARD_SUFFIX = ".arrow"
FIGURES = ("RssAnon", "RssFile", "PSS", "USS", "store RSS", "store PSS")
Memory = Mapping[str, float]


def fields_mb(text: str) -> dict[str, float]:
    """Sum all lines `Name:  123 kB` of a file of /proc by name, MB; skip other lines."""
    fields: dict[str, float] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        amount, _, unit = value.strip().partition(" ")
        if unit == "kB" and amount.isdecimal():
            fields[name] = fields.get(name, 0.0) + int(amount) * 1024 / 1e6
    return fields


def mappings_of(smaps: str, suffix: str) -> str:
    """Return the part of a smaps file about mapped files whose names end in `suffix`."""
    kept, is_kept = [], False
    for line in smaps.splitlines():
        if not line.split(maxsplit=1)[0].endswith(":"):  # a mapping's first line has its file
            is_kept = line.endswith(suffix)
        if is_kept:
            kept.append(line)
    return "\n".join(kept)


def memory_of(process: Path) -> Memory:
    """Return the memory of a process, MB, from its folder in /proc."""
    status, smaps = fields_mb((process / "status").read_text()), (process / "smaps").read_text()
    everything = fields_mb(smaps)
    store = fields_mb(mappings_of(smaps, SHARD_SUFFIX))
    return {
        "RssAnon": status["RssAnon"],
        "RssFile": status["RssFile"],
        "PSS": everything["Pss"],
        "USS": everything["Private_Clean"] + everything["Private_Dirty"],
        "store RSS": store.get("Rss", 0.0),
        "store PSS": store.get("Pss", 0.0),
    }


def sum_without_store_mb(trials: Sequence[Memory]) -> float:
    """Return the sum of PSS without the store's part, MB."""
    return sum(one["PSS"] - one["store PSS"] for one in trials)


def added_mb(found: Mapping[int, Sequence[Memory]]) -> dict[int, float]:
    """Return what each further process adds to that sum, MB, by the number of processes."""
    sums = {num: sum_without_store_mb(trials) for num, trials in found.items()}
    return {num: (mb - sums[1]) / (num - 1) for num, mb in sums.items() if num > 1}


def page_cache_mb() -> float:
    """Return the size of the machine's page cache, MB."""
    return fields_mb((PROC / "meminfo").read_text())["Cached"]


def measure(folder: Path, num_processes: int) -> list[Memory]:
    """Return the memory of each of `num_processes` trials, while all of them hold the store."""
    trials = [
        subprocess.Popen(
            [*TRIAL, "run", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(num_processes)
    ]
    try:
        for trial in trials:
            assert trial.stdout is not None
            if trial.stdout.readline() != "ready\n":
                sys.exit(f"memory: a trial ended early, with status {trial.wait()}")
        return [memory_of(PROC / str(trial.pid)) for trial in trials]
    finally:
        for trial in trials:
            trial.communicate()  # closes its standard input, which it waits for


def measure_store(folder: Path, num_rows: int) -> dict[int, list[Memory]]:
    """Write a store, measure every number of processes, and print."""
    before_mb = page_cache_mb()
    subprocess.run([*TRIAL, "write", str(folder), "--rows", str(num_rows)], check=True)
    size_mb = sum(file.stat().st_size for file in folder.rglob(f"*{SHARD_SUFFIX}")) / 1e6
    print(f"\nstore of {num_rows:,d} utterances, {size_mb:.0f} MB; MB of each process:")
    print("trials " + "".join(f"{name:>11s}" for name in FIGURES) + " page cache")
    found = {}
    for num in NUM_PROCESSES:
        found[num] = measure(folder, num)
        cached = f"{page_cache_mb() - before_mb:+11.0f}"
        for one in found[num]:
            print(f"{num:6d} " + "".join(f"{one[name]:11.1f}" for name in FIGURES) + cached)
    for num, mb in added_mb(found).items():
        uss_mb = median(one["USS"] for one in found[num])
        print(f"each of {num} trials: USS {uss_mb:.1f} MB; each but the first adds {mb:.1f} MB")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=LARGE_ROWS, help="utterances of the large one")
    large_rows = parser.parse_args().rows
    if not (PROC / "self" / "smaps").exists():
        print("memory: this system has no /proc/PID/smaps, so nothing can be measured")
        sys.exit(NO_PROC)
    subprocess.run([*TRIAL, "hardware"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        small = measure_store(Path(folder) / "small", SMALL_ROWS)[COMPARED]
        large = measure_store(Path(folder) / "large", large_rows)[COMPARED]
    small_mb, large_mb = (median(one["USS"] for one in trials) for trials in (small, large))
    print(f"USS of each of {COMPARED} trials: small {small_mb:.1f}, large {large_mb:.1f} MB")
    finish("memory", ratio=small_mb / large_mb, target=TARGET)


if __name__ == "__main__":
    main()
