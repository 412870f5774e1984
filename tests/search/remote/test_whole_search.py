"""A search whose run folder and stores are in object storage, by commands."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from results.journal.journal import read_journal
from spaces.files.locations import mirror_path
from spaces.files.yaml_file import write_yaml
from tests.search.real_search import Driver, epochs_of, events_of, tiny_settings, wait_for
from tests.worlds.object_store import ObjectStore, object_store
from trainable.storage.remote import RemoteFolder

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.ray_apart]

RUN, CACHE = "s3://bucket/runs/first", "s3://bucket/cache"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    with object_store(monkeypatch) as one:
        yield one


def test_a_search_goes_on_elsewhere_after_its_machine_was_lost(
    store: ObjectStore, tiny_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_yaml(tmp_path / "settings.yaml", tiny_settings(tiny_world, max_epochs=12))
    command = ["search", str(tmp_path / "settings.yaml"), "--run", RUN]

    def machine(name: str) -> dict[str, str]:
        monkeypatch.setenv("VEER_LOCAL", str(tmp_path / name))
        return {"VEER_CACHE": CACHE, "VEER_LOCAL": str(tmp_path / name)}

    # The first machine, which is lost in the second trial, after an outage of the store.
    environment = machine("one")
    with Driver(command, tmp_path / "one.out", environment) as driver:
        run = mirror_path(RUN)
        wait_for(lambda: epochs_of(run) >= 3 or not driver.is_up, "epochs")
        store.set_fault("500", 12)
        wait_for(lambda: epochs_of(run) >= 15 or not driver.is_up, "epochs")
        assert driver.is_up, driver.output
        driver.signal_group(signal.SIGKILL)
    before = events_of(run)
    shutil.rmtree(tmp_path / "one")
    store.set_fault(None)

    # The second one has nothing. The note of the first would count as fresh on another machine.
    environment = machine("two")
    with Driver(["resume", RUN], tmp_path / "two.out", environment) as driver:
        assert driver.wait() == 0, driver.output
        output = driver.output
    run = mirror_path(RUN)
    after = events_of(run)
    assert f"exported to {run}" in output
    lost = [each for each in before if each not in after]
    assert len([each for each in after if each["event"] == "trial_ended"]) == 3
    assert [each for each in lost if each["event"] == "epoch"] == []

    # Everything is there: another machine shows the same table.
    there = RemoteFolder(RUN).files()
    assert {"search.yaml", "trials.parquet", "report.html", "log.txt"} <= there.keys()
    assert any(name.startswith("export/trial-") for name in there)
    environment = machine("three")
    with Driver(["trials", RUN, "--format", "csv"], tmp_path / "three.out", environment) as reader:
        assert reader.wait() == 0, reader.output
        assert len(reader.output.splitlines()) == 4
    assert read_journal(mirror_path(RUN) / "journal.jsonl") == read_journal(run / "journal.jsonl")
    shards = {k: n for (m, k), n in store.num_requests.items() if m == "GET" and ".arrow" in k}
    assert set(shards.values()) == {1}, shards
