"""`veer cluster` without a cluster: what it refuses, what it passes on, and its token."""

import socket
import subprocess
from pathlib import Path

import pytest
import ray

from search.cluster import nodes as cluster
from search.cluster.tokens import TOKEN, TOKEN_PATH
from search.provenance.provenance import AUTH_MODE
from spaces.files.errors import ConfigError
from tests.search.commands import veer


def test_head_on_a_port_that_is_taken_is_refused(home):
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"^--port {port} is taken: .*`veer cluster stop`"):
            veer("cluster", "head", f"--port={port}")
    assert not (home / ".ray").exists(), "a token was made"


class TestArguments:
    @pytest.fixture(autouse=True)
    def free(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Treat the ports in these tests as free, also where this machine uses one of them."""
        monkeypatch.setattr(cluster, "_require_free", lambda _: None)

    @pytest.fixture
    def ran(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict]:
        """The calls of `ray start`, none of which is made."""
        del home
        calls = []

        def note(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
            calls.append({"command": command, **options})
            return subprocess.CompletedProcess(command, 0, "")

        monkeypatch.setattr(cluster.subprocess, "run", note)
        return calls

    def test_head_has_no_dashboard_and_demands_the_token(self, ran, monkeypatch):
        monkeypatch.setenv(AUTH_MODE, "disabled")
        veer("cluster", "head", "--host", "10.0.0.1", "--cpus", 4, "--gpus", 1)
        (call,) = ran
        assert call["command"][3:] == [
            "start", "--head", "--port=6379", "--include-dashboard=false",
            "--dashboard-agent-listen-port=0", "--num-cpus=4", "--num-gpus=1",
            "--node-ip-address=10.0.0.1", "--disable-usage-stats",
        ]  # fmt: skip
        assert call["env"][AUTH_MODE] == "token"
        assert call["env"]["VEER_CLUSTER"] == "10.0.0.1:6379"
        assert TOKEN not in call["env"]

    def test_dashboard_listens_on_loopback_unless_a_host_is_named(self, ran):
        quiet = veer("cluster", "head", "--dashboard")
        assert "--dashboard-host=127.0.0.1" in ran[0]["command"]
        assert "--include-dashboard=true" in ran[0]["command"]
        assert "warning" not in quiet.stderr
        warned = veer("cluster", "head", "--dashboard", "--dashboard-host", "0.0.0.0")
        assert "--dashboard-host=0.0.0.0" in ran[1]["command"]
        assert "warning: the dashboard listens on 0.0.0.0: everyone who reaches" in warned.stderr

    def test_ray_without_a_dashboard_is_an_error_with_the_fix(self, home, monkeypatch):
        del home
        stdout = "Exception: Cannot include dashboard with missing packages.\n"
        monkeypatch.setattr(
            cluster.subprocess, "run",
            lambda command, **_: subprocess.CompletedProcess(command, 1, stdout),
        )  # fmt: skip
        with pytest.raises(ConfigError, match=rf"pip install 'ray\[default\]=={ray.__version__}'"):
            veer("cluster", "head", "--host", "10.0.0.1", "--dashboard")

    @pytest.mark.parametrize("port", [10002, 12345, 19999])
    def test_ports_of_the_workers_are_refused(self, ran, port):
        reason = rf" must be outside 10002 to 19999, which Ray keeps for its workers, got {port}; "
        with pytest.raises(ConfigError, match=f"^--port{reason}try 6379$"):
            veer("cluster", "head", f"--port={port}")
        with pytest.raises(ConfigError, match=f"^--dashboard-port{reason}try 8265$"):
            veer("cluster", "head", "--dashboard", f"--dashboard-port={port}")
        assert not ran

    @pytest.mark.parametrize("port", [10001, 20000])
    def test_ports_beside_those_of_the_workers_are_taken(self, ran, port):
        veer("cluster", "head", "--host=10.0.0.1", f"--port={port}")
        assert f"--port={port}" in ran[0]["command"]

    def test_error_has_rays_sentence_without_code(self, home, monkeypatch):
        del home
        stdout = (
            "Local node IP: 10.0.0.1\nTraceback (most recent call last):\n"
            '  File "/lib/ray/scripts/scripts.py", line 1062, in start\n'
            "    return f(*args, **kwargs)\n           ^^^^^^^^^^^^^^^^^^\n"
            "ConnectionError: Ray is trying to start at 10.0.0.1:6379, but is already running at "
            "10.0.0.1:6379. Please specify a different port.\n"
        )
        monkeypatch.setattr(
            cluster.subprocess, "run",
            lambda command, **_: subprocess.CompletedProcess(command, 1, stdout),
        )  # fmt: skip
        message = (
            r"^cannot start a cluster at 10\.0\.0\.1:6379: Ray is trying to start at "
            r"10\.0\.0\.1:6379, but is already running at 10\.0\.0\.1:6379\. Please specify a "
            r"different port\.$"
        )
        with pytest.raises(ConfigError, match=message):
            veer("cluster", "head", "--host", "10.0.0.1")

    def test_another_ray_version_is_an_error_with_both_versions(self, home, monkeypatch):
        (home / ".ray").mkdir()
        (home / ".ray" / "auth_token").write_text("ab" * 32)
        stdout = (
            "RuntimeError: Version mismatch: The cluster was started with:\n    Ray: 2.60.0\n"
            "    Python: 3.11.9\nThis process on node 10.0.0.7 was started with:\n"
            "    Ray: 2.59.0\n    Python: 3.11.9\n"
        )
        monkeypatch.setattr(cluster, "require_access", lambda address, token: (address, token))
        monkeypatch.setattr(
            cluster.subprocess, "run",
            lambda command, **_: subprocess.CompletedProcess(command, 1, stdout),
        )  # fmt: skip
        message = (
            r"^cannot join the cluster 10\.0\.0\.1:6379: the cluster has ray 2\.60\.0, this "
            r"machine 2\.59\.0; install the same Python and the same Veer on all machines$"
        )
        with pytest.raises(ConfigError, match=message):
            veer("cluster", "join", "10.0.0.1:6379")


class TestToken:
    def test_is_shown_only_when_asked_for(self, home, monkeypatch):
        file = home / "secret"
        file.write_text("ab" * 32 + "\n")
        file.chmod(0o644)
        monkeypatch.setenv(TOKEN_PATH, str(file))
        result = veer("cluster", "token")
        assert f"token: {file}, fingerprint " in result.stdout
        assert f"scp -p THIS_MACHINE:{file} ~/.ray/auth_token" in result.stdout
        assert "ab" * 32 not in result.output
        assert f"{file}: other users of this machine could use the token (mode" in result.stderr
        assert veer("cluster", "token", "--show").stdout == "ab" * 32 + "\n"

    def test_machine_without_a_token_is_an_error_with_its_origin(self, home):
        for command in (["token"], ["join", "10.0.0.1:6379"]):
            with pytest.raises(ConfigError, match=rf"no token \({home}/\.ray/auth_token is"):
                veer("cluster", *command)

    @pytest.mark.parametrize("content", ["", "two words", "\x00\x01", "schlüssel"])
    def test_file_that_holds_none_is_an_error(self, home, content):
        (home / ".ray").mkdir()
        (home / ".ray" / "auth_token").write_text(content)
        with pytest.raises(ConfigError, match=r"auth_token: a token is a line of printable ASCII"):
            veer("cluster", "token")

    def test_file_that_cannot_be_read_is_an_error(self, home):
        (home / ".ray" / "auth_token").mkdir(parents=True)
        with pytest.raises(ConfigError, match=r"cannot read the token: Is a directory"):
            veer("cluster", "token")

    def test_two_are_never_the_same_and_none_is_in_a_repr(self, home):
        one = cluster.make_token()
        other = cluster.make_token()
        assert one.value != other.value
        assert one.fingerprint != other.fingerprint
        assert one.value not in repr(one)
        assert [file.name for file in (home / ".ray").iterdir()] == ["auth_token"]
