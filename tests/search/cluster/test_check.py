"""Nodes that cannot take part in a search are named before it begins; on real Ray nodes."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
from typer.testing import Result

from search.cluster import check as cluster_check
from search.cluster.check import (
    differing_versions,
    inspect_node,
    require_uniform_nodes,
    require_versions,
)
from search.cluster.connection import connected
from search.cluster.resources import Node, cluster_nodes
from search.config.search_config import SearchConfig
from search.provenance.provenance import versions
from search.ray_tune.checked_trial import CheckedTrial
from spaces.files.errors import ConfigError
from tests.search.commands import veer
from tests.search.ray_nodes import TOKEN, RayNodes, free_port

HERE = versions()


@pytest.fixture
def joined(
    cluster: RayNodes, no_ray_here: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Node]]:
    """This process in that cluster; its nodes, the head first."""
    del no_ray_here
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    with connected(cluster.address):
        is_head = {n["NodeID"]: "node:__internal_head__" in n["Resources"] for n in ray.nodes()}
        yield sorted(cluster_nodes(), key=lambda node: not is_head[node.node_id])


@pytest.mark.cluster
@pytest.mark.slow
class TestNodes:
    def test_one_like_this_machine_passes_and_nothing_is_left(self, joined, tmp_path):
        require_uniform_nodes(joined[:1], [tmp_path / "run"])
        assert list((tmp_path / "run").iterdir()) == []

    def test_other_version_is_refused_with_the_difference(self, joined):
        message = (
            rf"^node {joined[1].address} has veer 9\.9\.9 \(this machine {HERE['veer']}\); "
            r"install the same Veer, with the same requirements\.lock, on every machine$"
        )
        with pytest.raises(ConfigError, match=message):
            require_uniform_nodes(joined, [])

    def test_every_difference_of_every_node_is_in_one_message(self, joined, monkeypatch):
        ours = versions() | {"torch": "1.0.0"}
        monkeypatch.setattr(cluster_check, "versions", lambda: ours)
        torch = rf"torch {HERE['torch']} \(this machine 1\.0\.0\)"
        message = rf"^node \S+ has {torch}; node \S+ has {torch}, veer 9\.9\.9 [^;]*; install"
        with pytest.raises(ConfigError, match=message):
            require_uniform_nodes(joined, [])

    def test_node_that_is_gone_is_named(self, joined):
        gone = Node(address="10.9.9.9", num_cpus=1, num_gpus=0, node_id="0" * 56)
        with pytest.raises(ConfigError, match=r"^node 10\.9\.9\.9 cannot run Veer \("):
            require_uniform_nodes([joined[0], gone], [])

    def test_node_that_does_not_answer_is_named(self, joined):
        with pytest.raises(ConfigError, match=r"did not answer within 0 s; look at the node with"):
            require_uniform_nodes(joined[:1], [], answer_within_s=0)


@pytest.fixture
def search(
    no_ray_here: None, make_settings: Callable[..., SearchConfig], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str, str], Result]:  # fmt: skip
    """A function that runs `veer search` in a cluster, with a token."""
    del no_ray_here
    make_settings()

    def run(address: str, token: str) -> Result:
        monkeypatch.setenv("RAY_AUTH_TOKEN", token)
        arguments = ("--run", tmp_path / "run", "--address", address)
        return veer("search", tmp_path / "settings.yaml", *arguments)

    return run


@pytest.mark.cluster
@pytest.mark.slow
def test_search_on_nodes_of_two_versions_ends_before_any_trial(search, tmp_path, cluster):
    with pytest.raises(ConfigError, match=r"has veer 9\.9\.9 \(this machine"):
        search(cluster.address, TOKEN)
    assert not list((tmp_path / "run").glob("trials/*"))


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.parametrize("token", [TOKEN, "f" * 64], ids=["no cluster", "another token"])
def test_search_that_no_cluster_lets_in_leaves_no_run(search, tmp_path, cluster, capsys, token):
    address = f"127.0.0.1:{free_port()}" if token == TOKEN else cluster.address
    with pytest.raises(ConfigError, match=rf"cannot join Ray at '{address}'"):
        search(address, token)
    assert "teacher VEER" not in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


class TestFolders:
    def test_file_that_is_not_there_is_reported(self, tmp_path, monkeypatch):
        monkeypatch.setattr(cluster_check, "SEEN_WITHIN_S", 0.0)
        seen = tmp_path / "seen"
        seen.write_text("abc")
        marks = {str(seen): "abc", str(tmp_path / "other" / "mark"): "abc"}
        assert inspect_node(marks) == {
            "versions": HERE,
            "folders": {str(tmp_path / "other"): "does not see"},
            "storage": None,
        }

    def test_another_folder_at_the_same_path_does_not_count_as_shared(self, tmp_path, monkeypatch):
        monkeypatch.setattr(cluster_check, "SEEN_WITHIN_S", 0.0)
        (tmp_path / "mark").write_text("of another machine")
        found = inspect_node({str(tmp_path / "mark"): "abc"})
        assert found["folders"] == {str(tmp_path): "does not see"}

    def test_folder_that_cannot_be_written_is_reported(self, tmp_path, monkeypatch):
        (tmp_path / "mark").write_text("abc")
        monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path)
        found = inspect_node({str(tmp_path / "mark"): "abc"})["folders"]
        assert found == {str(tmp_path): "may not write to"}

    def test_folder_that_the_driver_cannot_write_is_refused(self, tmp_path):
        (tmp_path / "file").write_text("")
        folder = tmp_path / "file" / "run"
        with pytest.raises(ConfigError, match=rf"^{folder}: cannot write to it: Not a directory;"):
            require_uniform_nodes([], [folder])


@pytest.mark.cluster
@pytest.mark.slow
def test_node_without_the_storage_is_refused_with_the_path(joined, monkeypatch):
    @contextmanager
    def elsewhere(_: object) -> Iterator[dict[str, str]]:
        yield {"/no/such/place/mark": "abc"}

    monkeypatch.setattr(cluster_check, "_marked", elsewhere)
    message = rf"^node {joined[0].address} does not see /no/such/place; run folder and"
    with pytest.raises(ConfigError, match=message):
        require_uniform_nodes(joined[:1], [])


class TestDifferences:
    def test_only_differing_versions_are_named(self):
        ours = {"torch": "2.11.0", "veer": "0.1.0"}
        assert differing_versions(ours, ours) == ""
        assert differing_versions({"torch": "2.10.0", "veer": "0.1.0"}, ours) == (
            "torch 2.10.0 (this machine 2.11.0)"
        )

    def test_package_that_one_side_does_not_know_is_one(self):
        assert differing_versions({}, {"veer": "0.1.0"}) == "veer none (this machine 0.1.0)"


def test_trial_in_a_process_of_other_versions_is_not_run(monkeypatch):
    wanted = HERE | {"torch": "0.0.1"}
    monkeypatch.setattr(cluster_check, "_known_versions", lambda: HERE)
    message = rf"joined the cluster with torch {HERE['torch']} \(the search 0\.0\.1\); install"
    with pytest.raises(RuntimeError, match=message):
        require_versions(wanted)
    require_versions(HERE)
    require_versions({})


def test_checked_trial_asks_before_its_first_step(monkeypatch):
    asked = []
    monkeypatch.setattr("search.ray_tune.checked_trial.require_versions", asked.append)
    trial = object.__new__(CheckedTrial)
    monkeypatch.setattr("search.ray_tune.checked_trial.require_gpu_for", asked.append)
    task = SimpleNamespace(versions={"veer": "0.1.0"}, device="auto", num_gpus=0, engine="T4")
    trial._task = task
    step = "trainable.training.ray_trial.StudentTrial.step"
    monkeypatch.setattr(step, lambda self: {"trial": self})
    assert trial.step() == {"trial": trial}
    assert asked == [{"veer": "0.1.0"}]
    # Of a GPU only where the trial uses one.
    task.num_gpus, task.versions = 0.5, {}
    trial.step()
    task.device = "cpu"
    trial.step()
    assert asked[1:] == [{}, "T4", {}]


def test_marks_are_gone_after_a_refusal(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="Not a directory"):
        require_uniform_nodes([], [tmp_path / "run", tmp_path / "file" / "run"])
    assert list((tmp_path / "run").iterdir()) == []
