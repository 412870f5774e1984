"""The scripts for Slurm, with an `srun` and a `scontrol` that start processes on this machine."""

import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from search.cluster.nodes import stop_nodes
from spaces.files.yaml_file import write_yaml
from tests.search.ray_nodes import free_port
from tests.search.real_search import (
    DEADLINE_S,
    ROOT,
    VEER,
    epochs_of,
    events_of,
    tiny_settings,
    wait_for,
)
from tests.search.user_home import use_empty_home
from tests.worlds.tiny_world import build_tiny_world

SCRIPTS = ROOT / "deploy" / "slurm"
# Slurm's srun takes options first, then the command; ours notes them and runs the command.
SRUN = """#!/usr/bin/env bash
echo "srun $*" >> "$FAKE_LOG"
while [ "${1#--}" != "$1" ]; do shift 2; done
exec "$@"
"""
SCONTROL = '#!/usr/bin/env bash\necho "scontrol $*" >> "$FAKE_LOG"\n'


class Slurm:
    """The environment of a batch job: commands on the PATH, and Slurm's variables."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        commands = {
            "srun": SRUN,
            "scontrol": SCONTROL,
            "veer": f'#!/usr/bin/env bash\nexec {shlex.join(VEER)} "$@"\n',
        }
        for name, text in commands.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def start(self, script: str, *arguments: object, num_nodes: int) -> subprocess.Popen[bytes]:
        """Run a batch script as slurmd does: as a copy in another folder, in its own session."""
        copy = self.folder / "slurm_script"
        copy.write_bytes((SCRIPTS / script).read_bytes())
        variables = {
            "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "FAKE_LOG": str(self.folder / "log"),
            "VEER_PORT": str(self.port),
            "VEER_SLURM": str(SCRIPTS),
            "SLURM_JOB_ID": "17",
            "SLURM_JOB_NUM_NODES": str(num_nodes),
            "SLURMD_NODENAME": "node1",
        }
        with (self.folder / "out").open("ab") as out:
            return subprocess.Popen(
                ["bash", copy, *map(str, arguments)],
                env=os.environ | variables, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    @property
    def calls(self) -> list[str]:
        """The commands of Slurm that were called, by line."""
        return (self.folder / "log").read_text().splitlines()

    @property
    def output(self) -> str:
        return (self.folder / "out").read_text()


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    home = tmp_path / "home"
    home.mkdir()
    use_empty_home(home, monkeypatch)
    return Slurm(tmp_path)


@pytest.mark.cluster
@pytest.mark.ray_apart
@pytest.mark.slow
def test_search_on_two_nodes_goes_back_into_the_queue_and_ends_in_the_next_allocation(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VEER_CACHE", str(tmp_path / "cache"))
    settings, run = tmp_path / "settings.yaml", tmp_path / "run"
    world = build_tiny_world(tmp_path / "world")
    write_yaml(settings, tiny_settings(world, num_trials=2, max_concurrent=2))
    job = slurm.start("requeue.sbatch", settings, run, num_nodes=2)
    try:
        wait_for(lambda: epochs_of(run) > 2 or job.poll() is not None, "an epoch")
        # Not to the group: `--signal=B:` names the batch shell alone.
        os.kill(job.pid, signal.SIGUSR1)
        assert job.wait(DEADLINE_S) == 0, slurm.output
        join, requeue = slurm.calls
        assert join.startswith("srun --nodes 1 --ntasks 1 --exclude node1 ")
        assert "cluster join" in join
        assert requeue == "scontrol requeue 17"
        assert [each["reason"] for each in events_of(run, "search_ended")] == ["interrupted"]
        before = events_of(run, "epoch")
        job = slurm.start("requeue.sbatch", settings, run, num_nodes=1)
        assert job.wait(DEADLINE_S) == 0, slurm.output
        assert events_of(run, "search_ended")[-1]["reason"] == "finished"
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
        stop_nodes()
    assert slurm.calls == [join, requeue]
    assert events_of(run, "epoch")[: len(before)] == before
    assert epochs_of(run) == 40


def test_job_that_fails_does_not_go_back_into_the_queue(slurm: Slurm, tmp_path: Path) -> None:
    (tmp_path / "veer").write_text(
        '#!/usr/bin/env bash\n[ "$1" = cluster ] || { echo "no corpus"; exit 2; }\n'
        'echo "veer $*" >> "$FAKE_LOG"; echo "a cluster runs at 10.0.0.1:6379; to join, ..."\n'
    )
    job = slurm.start("requeue.sbatch", "settings.yaml", "run", num_nodes=1)
    assert job.wait(DEADLINE_S) == 2
    assert slurm.calls == [
        f"veer cluster head --port {slurm.port}", "veer cluster stop 10.0.0.1:6379",
    ]  # fmt: skip
    assert "no corpus" in slurm.output


@pytest.mark.parametrize("script", sorted(each.name for each in SCRIPTS.iterdir()))
def test_script_without_arguments_prints_its_usage(slurm: Slurm, script: str) -> None:
    assert slurm.start(script, num_nodes=1).wait(DEADLINE_S) == 2
    assert "usage: sbatch search.sbatch SETTINGS.yaml RUN_FOLDER" in slurm.output
