"""A cluster whose nodes share no folder: one is killed, one joins, the store does not answer."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from results.journal.journal import read_journal
from results.records.trial_records import TrialPlaced
from spaces.files.locations import mirror_path
from spaces.files.yaml_file import write_yaml
from tests.search.ray_nodes import TOKEN, ray_nodes
from tests.search.real_search import Driver, epochs_of, num_records, tiny_settings, wait_for
from tests.worlds.object_store import ObjectStore, object_store
from tests.worlds.tiny_world import build_tiny_world

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.ray_apart]

RUN, CACHE = "s3://bucket/runs/apart", "s3://bucket/cache"
NUM_TRIALS, NUM_EPOCHS = 4, 12
COLUMNS = "trial,state,epochs,veer_pct,num_params"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    with object_store(monkeypatch) as one:
        yield one


def table(run: str, out: Path, environment: dict[str, str]) -> list[list[str]]:
    command = ["trials", run, "--format", "csv", "--columns", COLUMNS]
    with Driver(command, out, environment) as reader:
        assert reader.wait() == 0, reader.output
        return sorted(csv.reader(io.StringIO(reader.output)))


def test_nothing_is_lost_and_nothing_is_shared_by_accident(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = build_tiny_world(tmp_path / "world")
    write_yaml(
        tmp_path / "settings.yaml",
        tiny_settings(
            world, num_trials=NUM_TRIALS, max_epochs=NUM_EPOCHS, max_concurrent=2,
            sampler="random", resources={"cpu": 1},
        ),
    )  # fmt: skip
    search = ["search", str(tmp_path / "settings.yaml"), "--run"]
    alone = {"VEER_CACHE": str(world / "cache")}
    with Driver([*search, str(tmp_path / "alone")], tmp_path / "alone.out", alone) as driver:
        assert driver.wait() == 0, driver.output
    expected = table(str(tmp_path / "alone"), tmp_path / "table.out", alone)

    def local(name: str) -> dict[str, str]:
        return {"VEER_LOCAL": str(tmp_path / name)}

    environment = {
        "VEER_CACHE": CACHE, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, **local("driver"),
    }  # fmt: skip
    monkeypatch.setenv("VEER_LOCAL", str(tmp_path / "driver"))
    run = mirror_path(RUN)
    with ray_nodes((0,)) as cluster:
        doomed = cluster.add(1, **local("doomed"))
        cluster.add(1, **local("stays"))
        command = [*search, RUN, "--address", cluster.address]
        with Driver(command, tmp_path / "apart.out", environment) as driver:
            wait_for(lambda: num_records(run, "placed") >= 2 or not driver.is_up, "two trials")
            # From here on a node that reads a file of the driver's machine fails.
            (world / "corpus").rename(world / "hidden")
            (world / "teacher").rename(world / "hidden-teacher")
            wait_for(lambda: epochs_of(run) >= 6 or not driver.is_up, "epochs")
            assert driver.is_up, driver.output
            doomed.kill()
            store.set_fault("500", 25)
            cluster.add(1, **local("joined"))
            assert driver.wait() == 0, driver.output
    records = read_journal(run / "journal.jsonl")
    placed = [each for each in records if isinstance(each, TrialPlaced)]
    assert len(placed) > NUM_TRIALS  # the killed node's trial was placed twice
    got = table(RUN, tmp_path / "table.out", {"VEER_CACHE": CACHE, **local("reader")})
    assert got == expected
    assert list((tmp_path / "joined").glob("cache-*/features-*/manifest.json"))
    assert list((tmp_path / "stays").glob("inputs-*/*-train_list.txt"))
