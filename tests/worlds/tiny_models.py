"""Configs of a student and a teacher that train in no time; other tests change single values."""

from typing import Any

MIXER: dict[str, Any] = {
    "family": "mlp_mixer",
    "hidden_dim": 16,
    "num_blocks": 1,
    "num_frames": 40,
    "embedding_dim": 24,
}
LSTM: dict[str, Any] = {
    "family": "lstm_autoencoder",
    "hidden_dim": 16,
    "num_layers": 1,
    "bottleneck_dim": 12,
    "embedding_dim": 24,
}
# A student that learns from no teacher.
TINY_MIXER: dict[str, Any] = {
    "model": MIXER,
    "loss": {"distillation": "none"},
    "training": {"batch_size": 8, "crop_frames": 40},
}

TRAINING: dict[str, Any] = {
    "batch_size": 8,
    "crop_frames": 40,
    "max_epochs": 2,
    "eval_frames": 60,
}
SMALL_STUDENT: dict[str, Any] = {"model": MIXER, "training": TRAINING}
SMALL_TEACHER: dict[str, Any] = {
    "model": LSTM,
    "loss": {"distillation": "none", "beta": 0.1},
    "training": TRAINING,
}
