"""Times against the teacher's, and what is remembered of them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest.mock import patch

import pytest
import torch

from models import MLPMixerConfig, SpeakerModel, build_model
from spaces.files.errors import ConfigError
from trainable.cost import latency as module
from trainable.cost.latency import Latency, LatencyCache, latency_ratio

FEAT_BTF = torch.zeros(1, 40, 80)


@pytest.fixture
def memory(tmp_path: Path) -> LatencyCache:
    return LatencyCache(tmp_path / "latency")


def only_file(tmp_path: Path) -> Path:
    (file,) = (tmp_path / "latency").iterdir()
    return file


def mixer(num_blocks: int) -> SpeakerModel:
    config = MLPMixerConfig(hidden_dim=64, num_blocks=num_blocks, num_frames=40)
    return build_model(config).eval()


class Clock:
    """Stands in for the timing.

    Args:
        first: The seconds of each network before it is known how many calls to make in a row.
        sets: The seconds of the sets of rounds that follow.
    """

    def __init__(self, first: Mapping[str, float], *sets: Mapping[str, list[float]]) -> None:
        self.first, self.sets = first, sets
        self.in_a_row: list[dict[str, int]] = []

    def __call__(
        self,
        calls: Mapping[str, Callable[[], object]],
        *,
        rounds: int,
        warmup_rounds: int,
        seed: int,
    ) -> Mapping[str, list[float]]:
        assert torch.get_num_threads() == 1
        assert torch.is_inference_mode_enabled()
        is_first = not self.in_a_row
        assert (rounds, warmup_rounds) == ((3, 3) if is_first else (15, 0))
        assert seed == max(0, len(self.in_a_row) - 1)
        self.in_a_row.append({name: num_embedded(call) for name, call in calls.items()})
        if is_first:
            return {name: [seconds] * rounds for name, seconds in self.first.items()}
        return self.sets[seed]


def num_embedded(call: Callable[[], object]) -> int:
    with patch.object(SpeakerModel, "embed", autospec=True) as embed:
        call()
    return int(embed.call_count)


STEADY = {"student": [1.0] * 15, "teacher": [4.0] * 15}
# Half of the rounds were disturbed.
UNSTEADY = {"student": [1.0] * 7 + [3.0] * 8, "teacher": [4.0] * 15}


def test_the_faster_network_is_called_as_often_in_a_row_as_takes_the_time_of_the_other() -> None:
    clock = Clock({"student": 0.1, "teacher": 0.42}, STEADY)
    networks = (mixer(1), FEAT_BTF), (mixer(2), FEAT_BTF)
    assert latency_ratio(*networks, clock) == Latency(0.25 / 4)
    assert clock.in_a_row == [{"student": 1, "teacher": 1}, {"student": 4, "teacher": 1}]
    slow = Clock({"student": 1.0, "teacher": 0.5}, STEADY)
    assert latency_ratio(*networks, slow) == Latency(0.5)
    assert slow.in_a_row[1] == {"student": 1, "teacher": 2}


def test_the_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    # The ratio of the medians, 3 and 4, is another.
    rounds = {"student": [1.0, 3.0, 10.0] * 5, "teacher": [4.0, 12.0, 40.0] * 5}
    clock = Clock({"student": 1.0, "teacher": 1.0}, rounds)
    assert latency_ratio((mixer(1), FEAT_BTF), (mixer(1), FEAT_BTF), clock) == Latency(0.25)


def test_rounds_are_repeated_until_the_ratio_is_steady() -> None:
    once = {"student": 1.0, "teacher": 1.0}
    networks = (mixer(1), FEAT_BTF), (mixer(1), FEAT_BTF)
    clock = Clock(once, UNSTEADY, STEADY)
    assert latency_ratio(*networks, clock) == Latency(0.25)
    assert len(clock.in_a_row) == 3
    busy = Clock(once, *[UNSTEADY] * 4)
    assert latency_ratio(*networks, busy) == Latency(0.75, is_steady=False)
    assert len(busy.in_a_row) == 5


def test_a_network_of_eight_blocks_takes_longer_than_one_of_one() -> None:
    ratio = latency_ratio((mixer(8), FEAT_BTF), (mixer(1), FEAT_BTF)).ratio
    assert 2 < ratio < 20


def test_the_number_of_threads_is_put_back() -> None:
    def fails(*_: object, **__: object) -> dict[str, list[float]]:
        raise RuntimeError("broken clock")

    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="broken clock"):
        latency_ratio((mixer(1), FEAT_BTF), (mixer(1), FEAT_BTF), fails)
    assert torch.get_num_threads() == before


def test_a_ratio_is_recalled_in_another_process(memory: LatencyCache, tmp_path: Path) -> None:
    assert memory.get("model", "teacher") is None
    memory.put("model", "teacher", 0.5)
    assert LatencyCache(tmp_path / "latency").get("model", "teacher") == 0.5


def test_another_model_teacher_or_machine_is_not_known(
    memory: LatencyCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.put("model", "teacher", 0.5)
    assert memory.get("other", "teacher") is None
    assert memory.get("model", "other") is None
    for changed in ({"cpu": "another"}, {"torch": "1.0"}):
        hardware = module.describe_hardware()
        with monkeypatch.context() as patch:
            patch.setattr(module, "describe_hardware", lambda h=hardware | changed: h)
            elsewhere = LatencyCache(tmp_path / "latency")
        assert elsewhere.get("model", "teacher") is None


def test_the_number_of_cores_does_not_matter_to_one_thread(
    memory: LatencyCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.put("model", "teacher", 0.5)
    hardware = module.describe_hardware() | {"num_cores": 1000}
    monkeypatch.setattr(module, "describe_hardware", lambda: hardware)
    assert LatencyCache(tmp_path / "latency").get("model", "teacher") == 0.5


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:20],
        lambda _: "",
        lambda _: "[1]",
        lambda text: text.replace("0.5", "-0.5"),
        lambda text: text.replace("0.5", "NaN"),
        lambda text: text.replace("0.5", '"0.5"'),
        lambda text: text.replace('"model"', '"other"'),
    ],
    ids=["torn", "empty", "another shape", "negative", "not a number", "text", "another key"],
)
def test_a_damaged_file_is_not_trusted_and_is_replaced(
    memory: LatencyCache, tmp_path: Path, damage: Callable[[str], str]
) -> None:
    memory.put("model", "teacher", 0.5)
    file = only_file(tmp_path)
    whole = file.read_text()
    assert json.loads(whole)["ratio"] == 0.5
    file.write_text(damage(whole))
    assert memory.get("model", "teacher") is None
    memory.put("model", "teacher", 0.5)
    assert only_file(tmp_path).read_text() == whole


def test_a_file_that_is_not_text_is_not_trusted(memory: LatencyCache, tmp_path: Path) -> None:
    memory.put("model", "teacher", 0.5)
    only_file(tmp_path).write_bytes(b"\xff\xfe\x00")
    assert memory.get("model", "teacher") is None


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file/latency: cannot keep .* set \$VEER_CACHE"):
        LatencyCache(tmp_path / "file" / "latency").put("model", "teacher", 0.5)
