"""What the finished searches of the benchmark `search` show."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.ratios import Ratio, mean_ratio

NUM_RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A finished search, one line of the kept file.

    Attributes:
        setup: Identifies arm, bank and case.
        arm: Name of the arm.
        bank: Name of the bank.
        case: Name of the case.
        group: Group of the case.
        reached: Epochs until the target, None if it was not reached.
        budget: Epochs with which it counts then.
        cpu_s: CPU seconds of this process.
        incumbents: (epochs spent, true value) of each incumbent.
    """

    setup: str
    arm: str
    bank: str
    case: str
    group: str
    reached: int | None
    budget: int
    cpu_s: float
    incumbents: tuple[tuple[int, float], ...]

    @property
    def epochs(self) -> int:
        """Epochs until the target; the budget if it was not reached."""
        return self.budget if self.reached is None else self.reached

    def true_pct(self, budget: int) -> NDArray[np.float64]:
        """Return the incumbent's true value after 1, 2, ... epochs, percent."""
        spent, values = zip(*self.incumbents, strict=True)
        places = np.searchsorted(spent, np.arange(1, budget + 1), side="right") - 1
        # Before the first figure the first incumbent counts: no arm has one then.
        found: NDArray[np.float64] = np.array(values)[np.maximum(places, 0)]
        return found


def keep(file: Path, search: Search) -> None:
    """Add a finished search to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as kept:
        kept.write(json.dumps(asdict(search)) + "\n")


def kept_searches(file: Path) -> dict[str, Search]:
    """Return the finished searches of a file by their setup; a torn last line is left out."""
    found = {}
    lines = file.read_text().split("\n")[:-1] if file.exists() else []
    for line in lines:
        fields = json.loads(line)
        fields["incumbents"] = tuple((int(n), float(pct)) for n, pct in fields["incumbents"])
        found[fields["setup"]] = Search(**fields)
    return found


def ratio_to(above: Sequence[Search], below: Sequence[Search]) -> Ratio:
    """Return the geometric mean of the ratio of epochs over the cases that both have.

    The interval is over groups (tasks, cuts of the speakers) and the cases in them.
    """
    by_case = {each.case: each for each in below}
    pairs = [(each, by_case[each.case]) for each in above if each.case in by_case]
    groups = [each.group for each, _ in pairs]
    if len(set(groups)) == 1:
        groups = [each.case for each, _ in pairs]
    return mean_ratio([a.epochs for a, _ in pairs], [b.epochs for _, b in pairs], groups)


def mean_curve(searches: Sequence[Search], budget: int) -> NDArray[np.float64]:
    """Return the incumbents' true values by epochs spent, (searches, budget), percent."""
    return np.stack([each.true_pct(budget) for each in searches])


def crossing(curve: NDArray[np.float64], target_pct: float) -> float:
    """Return after how many epochs a curve first reaches the target; its length if it does not."""
    reached = np.flatnonzero(curve <= target_pct)
    return float(reached[0] + 1 if len(reached) else len(curve))


def crossing_ratio(
    above: Sequence[Search], below: Sequence[Search], random: Sequence[Search], epochs: int
) -> Ratio:
    """Return the ratio of the epochs after which two arms' means reach that of random search.

    Args:
        above: The searches of one arm.
        below: Those of the other, of the same cases.
        random: Those of random search to the end.
        epochs: Epochs of random search whose mean true value is the target.

    Returns:
        With the interval over resampled cases.
    """
    order = {each.case: place for place, each in enumerate(random)}
    common = {each.case for each in above} & {each.case for each in below}
    chosen = [
        sorted((each for each in arm if each.case in common), key=lambda each: order[each.case])
        for arm in (above, below, random)
    ]
    curves = [mean_curve(each, epochs) for each in chosen]

    def ratio(cases: NDArray[np.int64]) -> float:
        one, other, base = (each[cases].mean(axis=0) for each in curves)
        return crossing(one, base[-1]) / crossing(other, base[-1])

    return _bootstrapped(ratio, len(curves[0]))


def difference_line(
    name: str, searches: Sequence[Search], against: Sequence[Search], places: Sequence[int]
) -> str:
    """Return a row: how much worse the mean incumbent is than another arm's, with 95 % intervals.

    Args:
        name: Name of the arm.
        searches: Its searches.
        against: Those of the other arm.
        places: After how many epochs.
    """
    by_case = {each.case: each for each in against}
    pairs = [(each, by_case[each.case]) for each in searches if each.case in by_case]
    cells = []
    for place in places:
        apart = np.array([a.true_pct(place)[-1] - b.true_pct(place)[-1] for a, b in pairs])
        groups = np.array([each.group for each, _ in pairs])
        means = np.array([apart[groups == each].mean() for each in dict.fromkeys(groups)])
        drawn = np.random.default_rng(0).choice(means, size=(NUM_RESAMPLES, len(means)))
        low, high = np.percentile(drawn.mean(axis=1), [2.5, 97.5])
        cells.append(f"{means.mean():+6.2f} ({low:+.2f} to {high:+.2f})")
    return f"{name:32s}" + "  ".join(cells)


def _bootstrapped(ratio: Callable[[NDArray[np.int64]], float], num: int) -> Ratio:
    rng = np.random.default_rng(0)
    drawn = [ratio(rng.integers(num, size=num)) for _ in range(NUM_RESAMPLES)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Ratio(value=ratio(np.arange(num)), low=float(low), high=float(high))


def success_line(name: str, searches: Sequence[Search], against: Sequence[Search]) -> str:
    """Return a row: searches, failures, median, mean, CPU seconds a search, ratio."""
    epochs = [each.epochs for each in searches]
    failed = sum(each.reached is None for each in searches)
    ratio = "" if searches is against or not against else str(ratio_to(searches, against))
    cpu_s = np.mean([each.cpu_s for each in searches])
    return (
        f"{name:32s}{len(searches):5d}{failed:7d}{np.median(epochs):9,.0f}{np.mean(epochs):9,.0f}"
        f"{cpu_s:8.1f}  {ratio}"
    ).rstrip()


def quality_line(
    name: str, searches: Mapping[str, Sequence[Search]], arm: str, places: Sequence[int]
) -> str:
    """Return a row: the mean true value of the incumbents after some numbers of epochs."""
    curve = mean_curve(searches[arm], max(places)).mean(axis=0)
    return f"{name:32s}" + "".join(f"{curve[place - 1]:8.2f}" for place in places)
