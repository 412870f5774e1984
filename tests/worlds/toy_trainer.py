"""A toy voxceleb_trainer with a model and a plug-in's YAML, and the same model by hand."""

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from spaces.files.yaml_file import write_yaml

CROP_FRAMES, CROP_SAMPLES, EMBEDDING = 40, 40 * 160 + 240, 24
# As in that trainer: no __init__.py, names that Veer and others have too, and modules that import
# each other by them.
MODULES = {
    "models/helper.py": """
        from utils import WINDOW

        def spectrum(wave):
            print("a plug-in may print")
            frames = wave.unfold(1, WINDOW, WINDOW)
            return torch.fft.rfft(frames).abs().mean(dim=1)

        import torch
    """,
    "models/Toy.py": """
        import torch
        from models.helper import spectrum
        from utils import WINDOW

        class MainModel(torch.nn.Module):
            def __init__(self, nOut=8, slope=1.0, **kwargs):
                super().__init__()
                self.slope = slope
                self.norm = torch.nn.BatchNorm1d(WINDOW // 2 + 1)
                self.fc = torch.nn.Linear(WINDOW // 2 + 1, nOut)

            def forward(self, x):
                return self.fc(self.norm(torch.log(spectrum(x) + 1e-3) * self.slope))
    """,
    "utils.py": "WINDOW = 64",
}


def network(slope: float = 1.0) -> Callable[[torch.Tensor], torch.Tensor]:
    """The plug-in's model by hand, with the weights of `weights`."""
    state = {name.removeprefix("__S__."): value for name, value in weights().items()}

    def embed(wave_BS: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft(wave_BS.unfold(1, 64, 64)).abs().mean(dim=1)
        x = torch.log(spectrum + 1e-3) * slope
        x = (x - state["norm.running_mean"]) / torch.sqrt(state["norm.running_var"] + 1e-5)
        x = x * state["norm.weight"] + state["norm.bias"]
        return x @ state["fc.weight"].T + state["fc.bias"]

    return embed


def weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator) + 0.1

    return {
        "__S__.norm.weight": draw(33),
        "__S__.norm.bias": draw(33),
        "__S__.norm.running_mean": draw(33) - 2,
        "__S__.norm.running_var": draw(33),
        "__S__.norm.num_batches_tracked": torch.tensor(7),
        "__S__.fc.weight": draw(EMBEDDING, 33) - 0.5,
        "__S__.fc.bias": draw(EMBEDDING),
        "__L__.W": draw(5, EMBEDDING),
    }


def write_plugin(
    folder: Path, state: Any = None, code: dict[str, str] | None = None, **settings: Any
) -> Path:
    """Write a trainer, a model file and a plug-in's YAML.

    Args:
        folder: Where.
        state: What the model file holds; `weights` unless given.
        code: Text by the trainer's file, beside or in place of `MODULES`.
        settings: Keys of the YAML in place of those that fit.

    Returns:
        The YAML.
    """
    for name, text in (MODULES | (code or {})).items():
        file = folder / "trainer" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    file = folder / "exps" / "model000000057.model"
    file.parent.mkdir(exist_ok=True)
    content = {"model_state_dict": weights(), "epoch": 57} if state is None else state
    torch.save(content, file)
    plugin = {
        "trainer": "trainer",
        "model": "Toy",
        "weights": "exps/model000000057.model",
        "arguments": {"nOut": EMBEDDING, "n_mels": 80},
        "num_crops": 3,
        "crop_frames": CROP_FRAMES,
        "batch_size": 5,
        "device": "cpu",
        "timeout_s": 60,
    }
    write_yaml(folder / "plugin.yaml", plugin | settings)
    return folder / "plugin.yaml"


def write_worker(folder: Path, answer: str, start: str = "") -> Path:
    """A worker without PyTorch, quick to start: ones for the first batch, then `answer`."""
    file = folder / "worker.py"
    file.write_text(
        textwrap.dedent(f"""
        import json, os, struct, subprocess, sys, time
        {start or "pass"}
        out = sys.stdout.buffer
        out.write(json.dumps({{"num_params": 1}}).encode() + b"\\n")
        out.flush()
        is_first = True
        while header := sys.stdin.buffer.read(8):
            num_crops, num_samples = struct.unpack("<II", header)
            sys.stdin.buffer.read(4 * num_crops * num_samples)
            row = [1.0] * 24 if is_first else ({answer})
            is_first = False
            out.write(struct.pack("<II", num_crops, 24) + struct.pack("<24f", *row) * num_crops)
            out.flush()
        """)
    )
    return file
