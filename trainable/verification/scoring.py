"""Scores of trial pairs from embeddings, by two protocols; each utterance is embedded once.

Shapes: N utterances, C crops an utterance, D embedding, P trial pairs, S samples.

- Cosine of means: the cosine of the two utterances' mean embeddings. The search uses it.
- voxceleb_trainer: minus the mean Euclidean distance between the crops of one utterance and
  those of the other, 10 crops cut from the waveform, each embedding at unit length.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.frontend import HOP_SAMPLES, WINDOW_SAMPLES
from trainable.features.crop_bank import Index
from trainable.verification.metrics import Floats

# T frames need (T - 1) hops and one window: T * 160 + 240 samples.
WINDOW_TAIL_SAMPLES = WINDOW_SAMPLES - HOP_SAMPLES
# `num_eval` of voxceleb_trainer's evaluation.
VOXCELEB_TRAINER_CROPS = 10
# Limit of the gathered embeddings of pairs, so that memory does not grow with the list.
CHUNK_BYTES = 64 * 2**20

Embeddings = NDArray[np.float32] | NDArray[np.float64]


def cosine_scores(emb_NCD: Embeddings, index_a: Index, index_b: Index) -> Floats:
    """Return the cosine of the mean embeddings, (P,).

    The mean is over the crops' embeddings as they are, not scaled to unit length first.

    Args:
        emb_NCD: Embeddings of all utterances.
        index_a: (P,) positions among the N utterances.
        index_b: (P,) positions of the other side.

    Raises:
        ValueError: A shape does not fit, or a position is not among the utterances.
    """
    mean_ND = unit_length(emb_NCD.mean(1, dtype=np.float64))
    return _by_chunks(mean_ND, index_a, index_b, lambda a_PD, b_PD: (a_PD * b_PD).sum(1))


def voxceleb_trainer_scores(emb_NCD: Embeddings, index_a: Index, index_b: Index) -> Floats:
    """Return minus the mean of the C x C Euclidean distances of unit-length crop embeddings, (P,).

    As `SpeakerNet.py` of voxceleb_trainer; from -2 to 0. The arguments are those of
    `cosine_scores`. Memory does not grow with the number of pairs.
    """
    return _by_chunks(emb_NCD, index_a, index_b, _minus_mean_distance)


def voxceleb_trainer_crop_samples(eval_frames: int) -> int:
    """Return the number of samples of an evaluation crop at 16 kHz.

    Raises:
        ValueError: `eval_frames` is not positive. voxceleb_trainer takes 0 for whole
            utterances, but then fails: it makes one crop and reshapes it to ten.
    """
    if eval_frames < 1:
        raise ValueError(
            f"eval_frames >= 1 must hold, got {eval_frames}: voxceleb_trainer's protocol "
            "compares crops of one length, whole utterances cannot be scored by it"
        )
    return eval_frames * HOP_SAMPLES + WINDOW_TAIL_SAMPLES


def waveform_crops(
    wave_S: NDArray[np.float32], num_crops: int, crop_samples: int
) -> NDArray[np.float32]:
    """Cut evenly spaced crops, (num_crops, crop_samples), of a waveform as voxceleb_trainer does.

    A waveform no longer than a crop is repeated to one sample more than the crop, so that its
    last crop starts one sample after the others.
    """
    # `<=` and `+ 1` are those of `loadWAV` in voxceleb_trainer.
    if wave_S.size <= crop_samples:
        wave_S = wrap_padded(wave_S, crop_samples + 1)
    starts = evenly_spaced_starts(wave_S.size, crop_samples, num_crops)
    return np.stack([wave_S[start : start + crop_samples] for start in starts])


def evenly_spaced_starts(length: int, crop: int, num_crops: int) -> Index:
    """Return the starts of crops, from the first possible to the last possible one, rounded down.

    If the crop is longer than the signal, all starts are 0 and the crop has to wrap around.

    Raises:
        ValueError: A number is not positive.
    """
    if min(length, crop, num_crops) < 1:
        raise ValueError(
            f"length, crop and num_crops must be at least 1, got {length}, {crop} and {num_crops}"
        )
    # As voxceleb_trainer: `linspace`, then truncated.
    return np.linspace(0, max(0, length - crop), num=num_crops).astype(np.int64)


def wrap_padded(wave_S: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Return the waveform repeated up to `length` samples, or unchanged if it is long enough.

    Raises:
        ValueError: The waveform is empty.
    """
    if wave_S.size == 0:
        raise ValueError("an empty waveform cannot be padded, got 0 samples")
    return wave_S if wave_S.size >= length else np.resize(wave_S, length)


def _minus_mean_distance(a_PCD: Floats, b_PCD: Floats) -> Floats:
    # |a-b|^2 = 2-2ab for unit vectors; in double precision the cancellation does not matter.
    squared_PCC = 2 - 2 * (unit_length(a_PCD) @ unit_length(b_PCD).swapaxes(1, 2))
    return np.asarray(-np.sqrt(squared_PCC.clip(min=0)).mean((1, 2)))


def unit_length(emb: Floats) -> Floats:
    """Scale to unit length along the last axis; a zero vector stays zero."""
    length = np.linalg.norm(emb, axis=-1, keepdims=True)
    return np.asarray(emb / np.maximum(length, np.finfo(np.float64).tiny))


def _by_chunks(
    emb: Embeddings, index_a: Index, index_b: Index, score: Callable[[Floats, Floats], Floats]
) -> Floats:
    """Score pairs in chunks whose gathered embeddings of both sides fit `CHUNK_BYTES`."""
    if index_a.ndim != 1 or index_a.shape != index_b.shape or index_a.size == 0:
        raise ValueError(
            "one position per side and pair is needed, got shapes "
            f"{index_a.shape} and {index_b.shape}"
        )
    # NumPy would count a negative position from the end.
    low, high = min(index_a.min(), index_b.min()), max(index_a.max(), index_b.max())
    if low < 0 or high >= len(emb):
        raise ValueError(f"positions must be from 0 to {len(emb) - 1}, got {low} to {high}")
    step = max(1, CHUNK_BYTES // (2 * emb[0].size * np.float64().itemsize))
    parts = (slice(first, first + step) for first in range(0, index_a.size, step))
    rows = ((emb[index_a[part]], emb[index_b[part]]) for part in parts)
    return np.concatenate([score(a.astype(float), b.astype(float)) for a, b in rows])
