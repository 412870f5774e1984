"""Sample rates that are wrong by a factor of two, as the speech of a corpus shows."""

from collections.abc import Sequence

from trainable.audio.reading import AudioEntry
from trainable.audio.voices import LIST_PITCH_HZ, HeardSpeech, doubted_list, doubted_rates


def rate_warnings(
    entries: Sequence[AudioEntry], speakers: Sequence[str], voices: Sequence[HeardSpeech | None]
) -> list[str]:
    """Return warnings of a list whose speech is an octave too high or too low, or some of it.

    Args:
        entries: The files of the list.
        speakers: The speaker of each.
        voices: The speech of each.
    """
    if (pitch_hz := doubted_list(voices)) is not None:
        more, what = ("more", "high") if pitch_hz > LIST_PITCH_HZ[1] else ("less", "low")
        return [
            f"{entries[0].listed_at}: half of the files of this list have a pitch of "
            f"{pitch_hz:.0f} Hz or {more}, an octave too {what} for most speakers: do the headers "
            "give the right sample rate?"
        ]
    places_of: dict[str, list[int]] = {}
    for place, speaker in enumerate(speakers):
        places_of.setdefault(speaker, []).append(place)
    found = [
        (places[number], usual_hz)
        for places in places_of.values()
        for number, usual_hz in doubted_rates([voices[place] for place in places])
    ]
    if not found:
        return []
    place, usual_hz = min(found)
    entry, voice = entries[place], voices[place]
    pitch_hz = usual_hz if voice is None else voice.pitch_hz
    more = f" ({len(found):,} such files)" if len(found) > 1 else ""
    times = "twice" if pitch_hz > usual_hz else "half of"
    return [
        f"{entry.listed_at}: {entry.path}: sounds an octave off the other files of its speaker "
        f"(pitch {pitch_hz:.0f} Hz, usually {usual_hz:.0f} Hz), as if the sample rate of its "
        f"header were {times} the right one{more}"
    ]
