"""The progress of a store's build: utterances done and starts of each shard.

Imports nothing of Veer: the actor's process must start at once, while the workers wait for it.
"""

from collections import Counter


class ShardProgress:
    """Counts the utterances done and the starts of each shard; runs as an actor of Ray."""

    def __init__(self) -> None:
        self._done: dict[int, int] = {}
        self._starts: Counter[int] = Counter()

    def begin(self, shard: int) -> int:
        """Record that a shard is started; return how often it was started so far."""
        # A shard starts again from its first utterance.
        self._done[shard] = 0
        self._starts[shard] += 1
        return self._starts[shard]

    def record(self, shard: int, done: int) -> None:
        """Record how many utterances of a shard are done."""
        self._done[shard] = done

    def total(self) -> int:
        """Return the utterances done, of all shards together."""
        return sum(self._done.values())
