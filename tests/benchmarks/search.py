"""How many epochs searches need: Veer before and after, its parts, and other tools.

`make bench NAME=search ARGS='--taskset FILE --bank FOLDER'`, or with $VEER_TASKSET and $VEER_BANK;
a bank that is not given is left out. Finished searches are kept in --out, so an interrupted
benchmark continues; --quick runs a third of the cases; --arms takes parts of names. The
environment of the other tools is made in --peers on first use.

Searches are played on a simulated clock (`search_play`) on the banks that `taskset_bank`,
`minivox_bank` and `made_up_bank` describe; arms, cases and targets are fixed in `search_arms` and
`search_cases`. A suggestion that a bank has not gets the nearest config that no earlier trial of
the search had (`search_problem.NearestConfigs`), for all arms alike. A search succeeds when the
true value of its incumbent reaches that of the best of 64 random trials of full length; the epochs
of all trials count, and a search that does not succeed counts with its budget.

Bank B has hardly more than 64 configs: the best of 64 is nearly the best of all, which few
searches can tell from the next ones. Its searches go on to the budget, so that the mean true value
of their incumbents is known after any number of epochs, and where it reaches that of random search
after 64 trials: with raw weights, the state before, and with averaged ones, as all tools have them
here.

The ratios are arm over Veer after, so above 1 where that is better.
"""

import argparse
import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import optuna

from tests.benchmarks.peer_tools import PeerProcess, peer_python
from tests.benchmarks.report import Verdict, finish_all
from tests.benchmarks.search_arms import AFTER, ARMS, RANDOM, RANDOM_AVERAGED, Arm, search
from tests.benchmarks.search_bars import verdicts
from tests.benchmarks.search_cases import NUM_RANDOM, Bank, Case, bank_a, bank_b, bank_c
from tests.benchmarks.search_figures import (
    Search,
    crossing_ratio,
    difference_line,
    keep,
    kept_searches,
    quality_line,
    success_line,
)
from tests.benchmarks.search_play import Played, incumbents
from trainable.machine.hardware import describe_hardware

QUICK_PART = 3
PLACES_OF_DIFFERENCES = (48, 144, 288)
# Fields of an arm that change no search.
NOT_A_SETTING = ("most", "banks")
PLACES_OF_B = (12, 24, 48, 96, 144, 288, 768)


def setup_of(arm: Arm, bank: Bank, case: Case) -> str:
    """Return digits that identify a search: what it depends on beside the code."""
    settings = {name: value for name, value in asdict(arm).items() if name not in NOT_A_SETTING}
    parts = [settings, bank.name, bank.size, case.name, case.seed, case.target_pct, case.budget]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def finished(arm: Arm, bank: Bank, case: Case, played: Iterable[Played]) -> Search:
    """Play a search to its end."""
    started = time.process_time()
    found: list[tuple[int, float]] = []
    reached = None
    for spent, true_pct in incumbents(played, case.budget):
        found.append((spent, true_pct))
        if reached is None and true_pct <= case.target_pct:
            reached = spent
            if bank.ends_at_target:
                break
    return Search(
        setup=setup_of(arm, bank, case),
        arm=arm.name,
        bank=bank.name,
        case=case.name,
        group=case.group,
        reached=reached,
        budget=case.budget,
        cpu_s=time.process_time() - started,
        incumbents=tuple(found),
    )


def run_arms(arms: Sequence[Arm], bank: Bank, options: argparse.Namespace) -> list[Search]:
    """Return the searches of all arms on a bank; those that are not kept yet are played."""
    kept = kept_searches(options.out)
    searches = []
    with ExitStack() as stack:
        processes: dict[str, PeerProcess] = {}
        for arm in arms:
            if bank.name not in arm.banks:
                continue
            for case in bank.cases[: len(bank.cases) // options.part][: arm.most]:
                found = kept.get(setup_of(arm, bank, case))
                if found is None:
                    script = arm.tool.split(":")[0] + ".py"
                    if arm.is_peer and script not in processes:
                        process = PeerProcess(peer_python(options.peers), script)
                        processes[script] = process
                        stack.callback(process.close)
                    found = finished(arm, bank, case, search(arm, case, processes.get(script)))
                    keep(options.out, found)
                searches.append(found)
            print(f"{bank.name}: {arm.name} done", flush=True)
    return searches


def by_arm(searches: Iterable[Search]) -> dict[str, list[Search]]:
    """Return the searches of each arm."""
    found: dict[str, list[Search]] = {}
    for each in searches:
        found.setdefault(each.arm, []).append(each)
    return found


def print_bank(bank: Bank, searches: Sequence[Search]) -> None:
    """Print the tables of a bank."""
    arms = by_arm(searches)
    after = arms.get(AFTER, [])
    cases = len({each.case for each in searches})
    of_all = f"{cases} of {len(bank.cases)} cases"
    print(f"\nbank {bank.name}, {of_all}; budget {bank.cases[0].budget:,} epochs")
    print(f"{'':35s}n failed   median     mean   CPU s  epochs over those of {AFTER}")
    for name, found in arms.items():
        print(success_line(name, found, after))
    if bank.ends_at_target:
        return
    print(f"\n{'mean true value, %, after epochs':32s}" + "".join(f"{n:8d}" for n in PLACES_OF_B))
    for name in arms:
        print(quality_line(name, arms, name, PLACES_OF_B))
    if after and len(arms) > 1:
        print(f"\nthe same minus that of {AFTER}, after {PLACES_OF_DIFFERENCES} epochs")
        for name, found in arms.items():
            if name != AFTER:
                print(difference_line(name, found, after, PLACES_OF_DIFFERENCES))
    epochs = NUM_RANDOM * bank.cases[0].make("raw").max_epochs
    for base in (RANDOM, RANDOM_AVERAGED):
        if after and base in arms:
            print(f"\nepochs until the mean of '{base}' after {epochs}, over those of {AFTER}")
            for name, found in arms.items():
                print(f"{name:32s}{crossing_ratio(found, after, arms[base], epochs)}")


def parsed() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Epochs to the quality of random search.")
    for name, what in (("taskset", "taskset.npz"), ("bank", "folder of the real students")):
        variable = f"VEER_{name.upper()}"
        given = os.environ.get(variable)
        parser.add_argument(f"--{name}", type=Path, default=given and Path(given),
                            help=f"{what}; ${variable}")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("runs/search.jsonl"),
                        help="file of the finished searches")  # fmt: skip
    parser.add_argument("--peers", type=Path, default=Path("runs/peers"),
                        help="environment of the other tools, made on first use")  # fmt: skip
    parser.add_argument("--arms", default="", help="names or parts of them, separated by commas; "
                        "a whole name is that arm alone")  # fmt: skip
    parser.add_argument("--banks", default="ABC", help="such as AC")
    parser.add_argument("--quick", dest="part", action="store_const", const=QUICK_PART, default=1,
                        help="a third of the cases")  # fmt: skip
    options = parser.parse_args()
    if faults := faults_of(options):
        parser.error("; ".join(faults))
    return options


def arms_of(names: str) -> list[Arm]:
    """Return the arms that a list of names or parts of names selects."""
    known = {arm.name for arm in ARMS}
    wanted = names.split(",")
    return [
        arm
        for arm in ARMS
        if any(arm.name == each or (each not in known and each in arm.name) for each in wanted)
    ]


def faults_of(options: argparse.Namespace) -> list[str]:
    """Return what is wrong with the arguments; a bank that is not given is no fault."""
    faults = []
    if not arms_of(options.arms):
        faults.append(f"--arms {options.arms} selects none of: {', '.join(a.name for a in ARMS)}")
    if not options.banks or set(options.banks) - set("ABC"):
        faults.append(f"--banks must be of the letters A, B and C, got {options.banks!r}")
    if options.taskset and not options.taskset.is_file():
        faults.append(f"--taskset: no such file: {options.taskset}")
    if options.bank and not any(options.bank.glob("[0-9][0-9][0-9].npz")):
        faults.append(f"--bank: no run of the bank, such as 000.npz, in {options.bank}")
    return faults


def main() -> None:
    options = parsed()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(", ".join(f"{name} {value}" for name, value in describe_hardware().items()))
    arms = arms_of(options.arms)
    found: dict[str, dict[str, list[Search]]] = {}
    for letter, make in (
        ("A", options.taskset and (lambda: bank_a(options.taskset))),
        ("B", options.bank and (lambda: bank_b(options.bank))),
        ("C", bank_c),
    ):
        if letter not in options.banks:
            continue
        if make is None:
            option = "--taskset" if letter == "A" else "--bank"
            print(f"bank {letter} is left out: {option} is not given")
            continue
        bank = make()
        searches = run_arms(arms, bank, options)
        print_bank(bank, searches)
        found[letter] = by_arm(searches)
    bars: list[Verdict] = verdicts(found)
    print()
    finish_all(bars)


if __name__ == "__main__":
    main()
