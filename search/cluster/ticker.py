"""How far the workers are, and how often each shard was begun.

Imports nothing of Veer: the actor's process must start at once, while the workers wait for it.
"""

from collections import Counter


class Ticker:
    """Counts utterances, and how often a shard was begun; an actor of Ray's."""

    def __init__(self) -> None:
        self._done: dict[int, int] = {}
        self._begun: Counter[int] = Counter()

    def begin(self, shard: int) -> int:
        """Note that a shard is begun, perhaps anew; how often it was."""
        self._done[shard] = 0
        self._begun[shard] += 1
        return self._begun[shard]

    def tell(self, shard: int, done: int) -> None:
        """Note how many utterances of a shard are done."""
        self._done[shard] = done

    def total(self) -> int:
        """Utterances of all shards."""
        return sum(self._done.values())
