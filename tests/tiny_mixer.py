"""The config of a student that trains in no time, for tests of what is done with its files."""

TINY_MIXER = {
    "model": {
        "family": "mlp_mixer",
        "hidden_dim": 8,
        "num_blocks": 1,
        "num_frames": 40,
        "embedding_dim": 16,
    },
    "loss": {"distillation": "none"},
    "training": {"batch_size": 8, "crop_frames": 40},
}
