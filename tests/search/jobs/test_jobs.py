"""A search is sent as a job, followed over lost connections, and its results are brought here."""

import os
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import AuthenticationError

from search.cluster import nodes as cluster
from search.jobs import command as commands
from search.jobs import server as jobs_module
from search.jobs.command import fetch_entrypoint, job_command, require_same_code
from search.jobs.sent_files import file_lines, results_of, write_files
from search.jobs.server import JobServer
from search.provenance.provenance import CODE_DIGITS, code_sha256
from spaces.files.errors import ConfigError, RunError
from tests.search.commands import veer
from tests.search.ray_nodes import free_port
from tests.search.user_home import use_empty_home
from tests.worlds.made_up_run import write_made_up_run

ROOT = Path(__file__).parents[3]
SEARCH = ("search", "s.yaml", "--run", "/shared/runs/first")


class MadeUpClient:
    """Ray's client of a job server; each entry point runs here, to its end, when it is sent.

    Attributes:
        breaks_at: Characters of the log after which the connection is lost, once each.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.jobs: dict[str, Any] = {}
        self.breaks_at: list[int] = []
        self.error: Exception | None = None
        self.is_starting = False

    def submit_job(
        self, *, entrypoint: str, submission_id: str = "other", runtime_env: Any = None,
        metadata: Any = None,
    ) -> str:
        if self.error is not None:
            raise self.error
        if self.is_starting:
            self.is_starting = False
            raise RuntimeError("status code 500: No available agent to submit job, please try")
        done = subprocess.run(
            ["bash", "-c", entrypoint],
            env=os.environ | {"VEER_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=False,
        ) if submission_id == "other" else None
        self.jobs[submission_id] = SimpleNamespace(
            submission_id=submission_id, entrypoint=entrypoint, metadata=metadata,
            runtime_env=runtime_env, start_time=len(self.jobs), message="",
            log="epoch 1\nepoch 2\n" if done is None else done.stdout + done.stderr,
            status="SUCCEEDED" if done is None or not done.returncode else "FAILED",
            driver_exit_code=0 if done is None else done.returncode,
        )
        return submission_id

    def get_job_info(self, job: str) -> Any:
        if job not in self.jobs:
            raise RuntimeError(f"Request failed with status code 404: Job {job} does not exist")
        return self.jobs[job]

    def list_jobs(self) -> list[Any]:
        return list(self.jobs.values())

    def get_job_logs(self, job: str) -> str:
        return str(self.jobs[job].log)

    def stop_job(self, job: str) -> bool:
        was_running = self.jobs[job].status == "RUNNING"
        self.jobs[job].status = "STOPPED"
        return was_running

    async def tail_job_logs(self, job: str) -> AsyncIterator[str]:
        log = self.jobs[job].log
        if self.breaks_at:
            yield log[: self.breaks_at.pop(0)]
            raise RuntimeError("WebSocket connection closed unexpectedly")
        yield log[:5]
        yield log[5:]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobServer:
    use_empty_home(tmp_path, monkeypatch)
    monkeypatch.setattr(jobs_module, "POLL_S", 0.001)
    return JobServer("127.0.0.1:8265", MadeUpClient)


def client_of(server: JobServer) -> MadeUpClient:
    client: MadeUpClient = server._client
    return client


def test_a_job_runs_the_same_command_on_its_own_cluster(server: JobServer) -> None:
    job = server.submit(job_command([*SEARCH, "--seed", "a b"]))
    sent = client_of(server).jobs[job]
    assert server.url == "http://127.0.0.1:8265"
    assert job.startswith("veer-first-")
    check, _, command = sent.entrypoint.partition(" && ")
    assert shlex.split(check)[-2:] == ["search.jobs.command", code_sha256()[:CODE_DIGITS]]
    assert shlex.split(command) == [
        "exec", "${VEER_PYTHON:-python}", "-P", "-m", "search.cli", *SEARCH, "--seed", "a b",
        "--address", "$RAY_ADDRESS",
    ]  # fmt: skip
    # More than the time in which a search ends its trials after SIGTERM.
    assert int(sent.runtime_env["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"]) >= 30
    assert "working_dir" not in sent.runtime_env
    assert server.searches() == [(job, "SUCCEEDED", "/shared/runs/first")]


def test_a_head_that_is_starting_is_waited_for(server: JobServer) -> None:
    client_of(server).is_starting = True
    assert server.submit(job_command(SEARCH)) in client_of(server).jobs


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "sends `search` or `resume`, got ''"),
        (("serach", "s.yaml"), "got 'serach'; did you mean 'search'"),
        (("train", "s.yaml"), "sends `search` or `resume`, got 'train'"),
        (("search", "s.yaml"), "must name the run folder: --run"),
        (("resume", "--trials=3"), "must name the run folder: resume /shared"),
        (("search", "s.yaml", "--run", "runs/first"), "must be an absolute path .* 'runs/first'"),
        ((*SEARCH, "--address=1.2.3.4:6379"), "must have no --address"),
    ],
)
def test_a_command_that_cannot_run_there_is_refused(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        job_command(words)


@pytest.mark.parametrize(
    ("words", "run"),
    [
        (SEARCH, "/shared/runs/first"),
        (("search", "--run=/a/b/"), "/a/b"),
        (("search", "--run", "s3://bucket/run"), "s3://bucket/run"),
        (("resume", "/shared/runs/first", "--trials", "9"), "/shared/runs/first"),
    ],
)
def test_the_run_folder_is_that_of_the_command(words: tuple[str, ...], run: str) -> None:
    assert job_command(words).run == run


def test_other_code_is_refused_on_the_head() -> None:
    require_same_code(code_sha256()[:CODE_DIGITS])
    with pytest.raises(ConfigError, match=r"other code of Veer .0123456789abcdef. than"):
        require_same_code("0123456789abcdef")
    assert "search.jobs.command" in job_command(SEARCH).entrypoint()
    assert commands.__name__ == "search.jobs.command"


def test_a_log_is_followed_over_lost_connections(server: JobServer) -> None:
    job = server.submit(job_command(SEARCH))
    client_of(server).breaks_at = [3, 12, 4]
    written, said = list[str](), list[str]()
    assert server.follow(job, written.append, said.append) == "SUCCEEDED"
    assert "".join(written) == "epoch 1\nepoch 2\n"
    assert len(said) == 1
    assert "is lost (WebSocket connection closed unexpectedly); the job goes on" in said[0]


@pytest.mark.slow
def test_results_come_through_the_log_of_a_job(server: JobServer, tmp_path: Path) -> None:
    run = write_made_up_run(tmp_path / "a run", num_trials=3)
    job = server.submit(job_command(["search", "--run", str(run.path)]))
    fetched = server.fetch(job, tmp_path / "here")
    assert {file.name for file in fetched} == {file.name for file in results_of(run)}
    assert all(file.read_bytes() == (run.path / file.name).read_bytes() for file in fetched)
    (run.path / "journal.jsonl").rename(tmp_path / "journal.jsonl")
    with pytest.raises(RunError, match=r"cannot read it: error .* is not a run folder"):
        server.fetch(job, tmp_path / "there")
    assert not (tmp_path / "there").exists()
    assert str(run.path) in shlex.split(fetch_entrypoint(str(run.path)))


def test_files_that_arrive_in_part_are_not_kept(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("content" * 2000)
    (tmp_path / "b.txt").write_text("")
    log = "\n".join(["a remark", *file_lines([tmp_path / "a.txt", tmp_path / "b.txt"])])
    assert [file.name for file in write_files(log, tmp_path / "all")] == ["a.txt", "b.txt"]
    assert (tmp_path / "all" / "a.txt").read_text() == "content" * 2000
    with pytest.raises(RunError, match="the results did not arrive"):
        write_files(log[:-20], tmp_path / "part")
    with pytest.raises(RunError, match=r"a\.txt: 13.* of 14000 bytes arrived"):
        write_files(log.replace("Y29udGVudGNvbnRl", "", 1), tmp_path / "part")
    out = "\n".join(file_lines([tmp_path / "b.txt"])).replace("b.txt", "../../b.txt")
    assert write_files(out, tmp_path / "all") == [tmp_path / "all" / "b.txt"]
    assert not (tmp_path / "part").exists()


def test_errors_of_the_server_say_what_to_do(server: JobServer) -> None:
    with pytest.raises(ConfigError, match="has no job 'other'; `veer status` lists"):
        server.state("other")
    for error, message in (
        (AuthenticationError("no"), "demands another token"),
        (ConnectionError("no"), "no job server answers at .*--dashboard.*ssh -L"),
        (RuntimeError("needs ray[default]"), r"pip install 'ray\[default\]=="),
        (RuntimeError("code 500: full"), "http://127.0.0.1:8265: code 500: full"),
    ):
        client_of(server).error = error
        with pytest.raises(ConfigError, match=message):
            server.submit(job_command(SEARCH))
    client_of(server).error = None
    with pytest.raises(ConfigError, match="--files must be a folder"):
        server.submit(job_command(SEARCH), files=Path("nowhere"))


class TestCommands:
    @pytest.fixture(autouse=True)
    def _server(self, server: JobServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(jobs_module, "JobServer", lambda url: self._at(server, url))

    def _at(self, server: JobServer, url: str) -> JobServer:
        assert url in {"http://h:1", jobs_module.DEFAULT_SERVER}
        return server

    def test_submit_follows_and_ends_with_the_status_of_the_job(self, server: JobServer) -> None:
        done = veer("submit", "--server", "http://h:1", *SEARCH)
        assert "epoch 1\nepoch 2\n" in done.stdout
        assert "runs veer search s.yaml --run /shared/runs/first" in done.stdout
        (job, _, _), *_ = server.searches()
        vars(client_of(server).jobs[job]).update(status="FAILED", driver_exit_code=3)
        assert veer("status", job, "--follow").exit_code == 3

    def test_a_job_is_listed_shown_and_stopped(self, server: JobServer) -> None:
        sent = veer("submit", "--no-follow", *SEARCH)
        (job, _, _), *_ = server.searches()
        assert f"to follow it: veer status {job} --follow" in sent.stdout
        assert f"{job}  succeeded  /shared/runs/first" in veer("status").stdout
        assert "epoch 2" in veer("status", job).stdout
        assert f"{job} had ended before: stopped" in veer("stop", job).stdout
        client_of(server).jobs[job].status = "RUNNING"
        assert "veer submit resume /shared/runs/first" in veer("stop", job).stdout

    def test_ctrl_c_leaves_the_job_alone(
        self, server: JobServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*_: Any) -> str:
            raise KeyboardInterrupt

        monkeypatch.setattr(server, "follow", interrupted)
        done = veer("submit", *SEARCH)
        assert "the job goes on; to follow it: veer status veer-first-" in done.stdout
        assert done.exit_code == 0


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Ray's own client
def test_a_job_of_a_real_head_fails_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("aiohttp", "opencensus"):
        pytest.importorskip(package, reason="the dashboard needs ray[default]")
    use_empty_home(tmp_path, monkeypatch)
    port, web = free_port(), free_port()
    address = f"{ray.util.get_node_ip_address()}:{port}"
    try:
        veer("cluster", "head", f"--port={port}", "--dashboard", f"--dashboard-port={web}")
        server = JobServer(f"127.0.0.1:{web}")
        job = server.submit(job_command(["resume", str(tmp_path / "none")]))
        written = list[str]()
        assert server.follow(job, written.append, pytest.fail) == "FAILED"
        assert f"{tmp_path / 'none'} does not exist" in "".join(written)
        assert server.exit_status(job) == 2
        assert server.searches() == [(job, "FAILED", str(tmp_path / "none"))]
        with pytest.raises(RunError, match="the cluster cannot read it"):
            server.fetch(job, tmp_path / "here")
        monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
        with pytest.raises(ConfigError, match="demands another token"):
            JobServer(f"127.0.0.1:{web}")
    finally:
        cluster.stop_nodes(address)
