"""Whether a store is built on Ray, and that the process that leads a search uses no GPU."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from search.cluster import store_build
from search.cluster.resources import Node
from search.cluster.store_build import ShardBuilder, pays
from spaces.files.errors import ConfigError


def tasks(number: int, *, uses_gpu: bool = False) -> list:
    return [SimpleNamespace(uses_gpu=uses_gpu, number=each) for each in range(number)]


@pytest.mark.parametrize(
    ("num_shards", "num_workers", "address", "expected"),
    [
        (0, 8, None, False),
        (1, 8, None, False),
        (2, 1, None, False),
        (2, 2, None, True),
        (0, 1, "10.0.0.1:6379", False),
        (1, 1, "10.0.0.1:6379", True),
    ],
)
def test_two_shards_and_two_workers_or_an_address(
    num_shards: int, num_workers: int, address: str | None, *, expected: bool
) -> None:
    assert pays(tasks(num_shards), address=address, num_workers=num_workers) is expected


@pytest.mark.parametrize("uses_gpu", [False, True])
def test_what_uses_a_gpu_is_built_by_workers(
    monkeypatch: pytest.MonkeyPatch, *, uses_gpu: bool
) -> None:
    here: list[str] = []
    for name in ("build_shards", "_build_on_ray"):
        monkeypatch.setattr(store_build, name, lambda *_, name=name: here.append(name))
    monkeypatch.setattr(ShardBuilder, "_connect", lambda _: None)
    ShardBuilder(num_workers=1)(tasks(1, uses_gpu=uses_gpu), 3, None)
    assert here == ["_build_on_ray" if uses_gpu else "build_shards"]


def test_a_task_on_a_gpu_builds_several_shards(tmp_path: Path) -> None:
    """Each has a process of its own, which loads the teacher."""
    on_cpus = tasks(5)
    assert store_build._groups(on_cpus, 2) == [[task] for task in on_cpus]
    numbers = tasks(19, uses_gpu=True)
    groups = store_build._groups(numbers, 2)
    assert [len(group) for group in groups] == [3, 3, 3, 2, 2, 2, 2, 2]
    assert sorted(task.number for group in groups for task in group) == list(range(19))
    assert [len(group) for group in store_build._groups(numbers[:3], 2)] == [1, 1, 1]
    one = SimpleNamespace(uses_gpu=True, location=SimpleNamespace(folder=tmp_path))
    with pytest.raises(ConfigError, match=rf"{tmp_path}: Ray has no GPU, on which .* device: cpu"):
        store_build._groups([one], 0)


@pytest.mark.parametrize("num_gpus", [0, 1])
def test_ray_is_not_started_where_it_has_no_gpu(
    monkeypatch: pytest.MonkeyPatch, num_gpus: int
) -> None:
    nodes = [Node(address="a", num_cpus=1, num_gpus=num_gpus)]
    started: list[str | None] = []
    monkeypatch.setattr("torch.cuda.device_count", lambda: num_gpus)
    monkeypatch.setattr(store_build, "cluster_nodes", lambda: nodes)
    monkeypatch.setattr(ShardBuilder, "_connect", lambda self: started.append(self._address))
    assert ShardBuilder().connect_gpus() is (num_gpus > 0)
    assert started == [None] * num_gpus
    # The GPUs of a cluster are not those of this machine.
    assert ShardBuilder("10.0.0.1:6379").connect_gpus() is (num_gpus > 0)
    assert started[-1] == "10.0.0.1:6379"
