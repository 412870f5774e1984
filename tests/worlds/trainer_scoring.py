"""What voxceleb_trainer does with a plug-in, restated; a script that has nothing of Veer.

Its arguments are the trainer's folder and configs in it. It prints, for each config,
the EER of `initial_model` on the test list, and the parameters that a training pass gives no
gradient; at the end, the modules of other folders that were imported.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import yaml
from sklearn.metrics import roc_curve

# The script's arguments that its YAML may name, with the types that values are cast by.
_BY_TYPE: dict[Any, str] = {
    int: "max_frames eval_frames batch_size max_seg_per_spk nDataLoaderThread seed test_interval "
    "max_epoch nPerSpeaker nClasses n_mels nOut",
    float: "lr lr_decay weight_decay margin scale dcf_p_target dcf_c_miss dcf_c_fa",
    bool: "augment log_input",
    str: "trainfunc optimizer scheduler initial_model save_path train_list test_list train_path "
    "test_path musan_path rir_path model encoder_type",
}
KEYS = {key: kind for kind, keys in _BY_TYPE.items() for key in keys.split()}
NUM_CROPS = 10


class Net(torch.nn.Module):
    """The plug-in under the trainer's name for it."""

    def __init__(self, model: str, **settings: Any) -> None:
        super().__init__()
        self.__S__ = importlib.import_module(f"models.{model}").MainModel(**settings)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        return self.__S__(wave.reshape(-1, wave.shape[-1]))  # type: ignore[no-any-return]


def settings_of(file: Path) -> dict[str, Any]:
    read = yaml.safe_load(file.read_text())
    return {key: KEYS[key](value) for key, value in read.items()}


def load(net: Net, file: Path) -> None:
    """Copy what fits by name and shape; here, all must."""
    state = torch.load(file, weights_only=True)
    if len(state) == 1 and "model" in state:
        state = {f"__S__.{name}": each for name, each in state["model"].items()}
    own = net.state_dict()
    assert own.keys() == state.keys(), own.keys() ^ state.keys()
    for name, each in state.items():
        assert own[name].shape == each.shape, name
        own[name].copy_(each)


def crops(file: Path, frames: int) -> torch.Tensor:
    size = frames * 160 + 240
    wave, _ = soundfile.read(file)
    if len(wave) <= size:
        wave = np.pad(wave, (0, size - len(wave) + 1), "wrap")
    starts = np.linspace(0, len(wave) - size, num=NUM_CROPS)
    return torch.FloatTensor(np.stack([wave[int(x) : int(x) + size] for x in starts]))


def eer(labels: list[int], scores: list[float]) -> float:
    fpr, tpr, _ = roc_curve(labels, scores, pos_label=1)
    nearest = np.nanargmin(np.abs(1 - tpr - fpr))
    return 100 * float(max(fpr[nearest], 1 - tpr[nearest]))


def evaluated(settings: dict[str, Any]) -> dict[str, Any]:
    net = Net(**settings)
    load(net, Path(settings["initial_model"]))
    root, frames = Path(settings["test_path"]), settings["eval_frames"]
    lines = [line.split() for line in Path(settings["test_list"]).read_text().splitlines()]
    found: dict[str, torch.Tensor] = {}
    net.eval()
    for path in sorted({path for line in lines for path in line[1:]}):
        with torch.no_grad():
            found[path] = torch.nn.functional.normalize(net(crops(root / path, frames)))
    scores = [-float(torch.cdist(found[a], found[b]).mean()) for _, a, b in lines]
    net.train()
    net(crops(root / lines[0][1], settings["max_frames"])).square().sum().backward()
    gradients = {name: each.grad for name, each in net.named_parameters()}
    bad = [name for name, each in gradients.items() if each is None or not each.isfinite().all()]
    return {
        "eer_pct": eer([int(line[0]) for line in lines], scores),
        "without_gradient": bad,
    }


def main() -> None:
    torch.set_num_threads(1)
    folder, *configs = map(Path, sys.argv[1:])
    # Nothing that is installed for development may stand in for the trainer's folder.
    sys.meta_path = [each for each in sys.meta_path if "editable" not in repr(each).lower()]
    sys.path = [str(folder), *(each for each in sys.path if not (Path(each) / "spaces").exists())]
    found = [evaluated(settings_of(folder / config)) for config in configs]
    files = (getattr(each, "__file__", None) for each in sys.modules.values())
    known = (folder, Path(sys.prefix), Path(sys.base_prefix), Path(__file__))
    # PyTorch gives modules that it makes a name without a folder.
    paths = [Path(file) for file in files if file and Path(file).is_absolute()]
    others = [str(f) for f in paths if not any(f.is_relative_to(k) for k in known)]
    sys.stdout.write(json.dumps({"configs": found, "others": others}))


if __name__ == "__main__":
    main()
