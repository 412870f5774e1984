"""What a file says of its model: to people, to Veer, and to sherpa-onnx."""

import json

from models.frontend import (
    HOP_SAMPLES,
    LOG_OFFSET,
    N_FFT,
    PRE_EMPHASIS,
    SAMPLE_RATE_HZ,
    WINDOW_SAMPLES,
)
from trainable.deployment.request import FormRequest

# sherpa-onnx takes only these two names, and treats them alike.
SHERPA_FRAMEWORK = "wespeaker"
_URL = "none"


def file_metadata(request: FormRequest) -> dict[str, str]:
    """Return the entries of a file's metadata; all values are text.

    Those of `veer.` are Veer's. A graph that takes log-mels has the ones that sherpa-onnx reads.
    """
    loaded, config = request.loaded, request.loaded.config
    entries = {
        "veer.family": config.model.family,
        "veer.form": request.form,
        "veer.input": request.graph_input,
        "veer.embedding_dim": str(config.model.embedding_dim),
        # The only length of a window, 0 for any: longer input is averaged over windows.
        "veer.num_frames": str(loaded.model.num_frames or 0),
        "veer.sample_rate_hz": str(SAMPLE_RATE_HZ),
        "veer.front_end": json.dumps(front_end_parameters(config.model.num_mels)),
        "veer.config_hash": config.config_hash(),
        "veer.epoch": str(loaded.epoch),
        **_veer(request),
    }
    if not request.takes_waveform:
        entries |= sherpa_metadata(config.model.embedding_dim, _comment(request))
    return entries


def front_end_parameters(num_mels: int) -> dict[str, object]:
    """Return what log-mels are computed with."""
    return {
        "n_fft": N_FFT,
        "window": "hamming, periodic",
        "window_samples": WINDOW_SAMPLES,
        "hop_samples": HOP_SAMPLES,
        "frames": "centred, the first on sample 0, edges reflected",
        "pre_emphasis": PRE_EMPHASIS,
        "num_mels": num_mels,
        "mel_scale": "htk, 0 to 8000 Hz, triangles over Hz, no normalisation",
        "spectrum": "power",
        "log_offset": LOG_OFFSET,
        "normalisation": "each bin over the frames of a window, inside the graph",
    }


def sherpa_metadata(embedding_dim: int, comment: str) -> dict[str, str]:
    """Return the keys that sherpa-onnx's extractor of speaker embeddings reads."""
    return {
        "framework": SHERPA_FRAMEWORK,
        "language": "unknown",
        "url": _URL,
        "comment": comment,
        "sample_rate": str(SAMPLE_RATE_HZ),
        "output_dim": str(embedding_dim),
        # Samples in [-1, 1], as here; sherpa-onnx multiplies by 32768 for 0.
        "normalize_samples": "1",
        # Without effect, since the graph takes the mean off each bin itself.
        "feature_normalize_type": "global-mean",
    }


def _comment(request: FormRequest) -> str:
    config = request.loaded.config
    return f"Veer, {config.model.family}, config hash {config.config_hash()}"


def _veer(request: FormRequest) -> dict[str, str]:
    """Return the VEER of the epoch with its interval; nothing where it was not measured."""
    history = request.loaded.history
    report = history[-1] if history else {}
    names = ("veer_pct", "veer_low_pct", "veer_high_pct")
    return {f"veer.{name}": str(each) for name in names if (each := report.get(name)) is not None}
