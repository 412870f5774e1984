"""Random English sentences for the demo speakers, from a small grammar."""

import numpy as np


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split(","))


_ADJECTIVES = _phrases(
    "quiet, yellow, broken, narrow, gentle, heavy, silver, hungry, famous, careful, "
    "purple, ancient, wooden, clever, distant, frozen, shallow, joyful, crooked, "
    "velvet"
)
_NOUNS = _phrases(
    "river, engine, garden, pilot, lantern, teacher, village, window, captain, "
    "sparrow, market, bridge, doctor, forest, kitchen, mountain, orange, painter, "
    "rocket, shadow, station, thunder, uncle, violin, weather, jacket, island, "
    "cheese, bottle, farmer"
)
_VERBS = _phrases(
    "followed, carried, painted, noticed, watched, borrowed, measured, opened, "
    "visited, answered, repaired, crossed, chased, welcomed, imagined, finished"
)
_ENDINGS = _phrases(
    "before breakfast,after the long storm,near the old harbour,without a single word,"
    "for nearly five years,on a cold Thursday,behind the church,under thick white clouds,"
    "as the music played,just outside the city,with both hands,during the summer"
)
_OPENINGS = _phrases(
    "Yesterday,Every morning,Perhaps,By chance,They say that,In the end,Once again,"
    "To our surprise,Last July,Of course"
)


def draw_sentence(rng: np.random.Generator) -> str:
    """Draw a sentence of 12 to 17 words; repetitions are unlikely."""
    subject, goal = (f"the {rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)}" for _ in range(2))
    return (
        f"{rng.choice(_OPENINGS)} {subject} {rng.choice(_VERBS)} {goal} "
        f"{rng.choice(_ENDINGS)} {rng.choice(_ENDINGS)}."
    )
