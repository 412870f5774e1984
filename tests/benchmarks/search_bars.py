"""The bars of the benchmark `search`."""

from collections.abc import Mapping, Sequence

from tests.benchmarks.report import Verdict
from tests.benchmarks.search_arms import AFTER, ARMS, BAD_PRIOR, RANDOM
from tests.benchmarks.search_figures import Search, ratio_to

BEST_PEER = 1.25
OVER_RANDOM = {"A": 4.0, "B": 6.0, "C": 10.0}
MISLED = 1.15
# Of a slow tool only some searches are run; with fewer it is not judged.
FEWEST_SEARCHES = 10
PEERS = frozenset(arm.name for arm in ARMS if arm.tool)


def verdicts(found: Mapping[str, Mapping[str, Sequence[Search]]]) -> list[Verdict]:
    """Return the bars for which all searches were run.

    Args:
        found: Searches by bank and arm.
    """
    bars = []
    for bank, arms in found.items():
        if AFTER not in arms:
            continue
        if RANDOM in arms:
            ratio = ratio_to(arms[RANDOM], arms[AFTER])
            title = f"search, {bank}, random over Veer"
            bars.append(Verdict(name=title, ratio=ratio.value, target=OVER_RANDOM[bank]))
        if BAD_PRIOR in arms:
            ratio = ratio_to(arms[BAD_PRIOR], arms[AFTER])
            title = f"search, {bank}, bad prior over none"
            bars.append(
                Verdict(name=title, ratio=ratio.value, target=MISLED, is_limit=True)
            )
        peers = {name: ratio_to(arms[name], arms[AFTER]) for name in arms
                 if name in PEERS and len(arms[name]) >= FEWEST_SEARCHES}  # fmt: skip
        if peers:
            best = min(peers, key=lambda name: peers[name].value)
            title = f"search, {bank}, best peer ({best}) over Veer"
            bars.append(Verdict(name=title, ratio=peers[best].value, target=BEST_PEER))
            title = f"search, {bank}, lower end of its interval"
            bars.append(Verdict(name=title, ratio=peers[best].low, target=1.0))
    return bars
