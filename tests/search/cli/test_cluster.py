"""`veer cluster`: nodes started by the command itself, who gets in, what listens where."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from search.cluster import nodes as cluster
from search.cluster import staying
from search.cluster.connection import connected
from search.cluster.tokens import TOKEN, find_token
from spaces.files.errors import ConfigError
from tests.search.commands import veer
from tests.search.ray_nodes import free_port
from tests.search.user_home import use_empty_home

ADDRESS = "10.9.8.7:6543"
LISTENING = "0A"
LOOPBACKS = {"0100007F", "00000000000000000000000001000000"}


def listening(pids: list[int]) -> list[tuple[str, int]]:
    """(address in hexadecimal, port) of the sockets that these processes listen on."""
    sockets = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            if link.is_symlink() and (name := str(link.readlink())).startswith("socket:["):
                sockets.add(name[8:-1])
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and fields[9] in sockets:
                host, _, port = fields[1].partition(":")
                found.append((host, int(port, 16)))
    return found


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home folder of who starts the cluster."""
    return tmp_path_factory.mktemp("owner")


@pytest.fixture(scope="module")
def head(owner: Path) -> Iterator[str]:
    """The address of a cluster that `veer cluster head` has started."""
    port = free_port()
    address = f"{ray.util.get_node_ip_address()}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        use_empty_home(owner, patch)
        output = veer("cluster", "head", f"--port={port}", "--cpus=1").stdout
    try:
        assert f"a cluster runs at {address}" in output
        assert f"veer cluster join {address}" in output
        assert f"veer search ... --address {address}" in output
        yield address
    finally:
        cluster.stop_nodes(address)


@pytest.fixture
def member(owner: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make this process one of the owner's; return the file of their token."""
    use_empty_home(owner, monkeypatch)
    return owner / ".ray" / "auth_token"


def cpus_of(address: str) -> float:
    with connected(address):
        return ray.cluster_resources()["CPU"]


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.usefixtures("no_ray_here")
class TestHead:
    def test_who_has_the_token_gets_in(self, head, member):
        assert member.stat().st_mode & 0o777 == 0o600
        assert member.parent.stat().st_mode & 0o777 == 0o700
        assert len(bytes.fromhex(member.read_text())) == 32
        assert cpus_of(head) == 1.0

    @pytest.mark.usefixtures("home")
    def test_who_has_none_or_another_does_not(self, head, monkeypatch):
        with pytest.raises(ConfigError, match="demands a token, and this machine has none"):
            cpus_of(head)
        monkeypatch.setenv(TOKEN, "f" * 64)
        message = r"it demands another token than that of \$RAY_AUTH_TOKEN"
        with pytest.raises(ConfigError, match=message):
            cpus_of(head)
        with pytest.raises(ConfigError, match=message):
            veer("cluster", "join", head)

    @pytest.mark.usefixtures("member")
    def test_second_node_joins_and_is_stopped_by_itself(self, head):
        other_name = f"127.0.0.1:{head.rpartition(':')[2]}"
        output = veer("cluster", "join", other_name, "--cpus=2").stdout
        assert f"this machine is a node of {other_name}" in output
        assert cpus_of(head) == 3.0
        # The raylet and its log monitor; the agents, which Ray starts later, hide the mark behind
        # their titles as soon as they set them.
        assert len(cluster.node_processes(other_name)) >= 2
        assert "processes ended" in veer("cluster", "stop", other_name).stdout
        assert cluster.node_processes(other_name) == []
        assert len(cluster.node_processes(head)) > 2
        assert "no node of a cluster runs here" in veer("cluster", "stop", other_name).stdout

    @pytest.mark.usefixtures("member")
    def test_no_dashboard_listens_and_no_token_is_on_a_command_line(self, head):
        token = find_token()
        assert token is not None
        commands = {
            pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in cluster.node_processes(head)
        }
        assert int(head.rpartition(":")[2]) in {port for _, port in listening(list(commands))}
        # Ray runs this process in every mode.
        of_dashboard = [pid for pid, command in commands.items() if b"/dashboard.py" in command]
        assert of_dashboard
        assert listening(of_dashboard) == []
        assert not [each for each in commands.values() if token.value.encode() in each]

    @pytest.mark.usefixtures("member")
    def test_port_that_is_taken_is_an_error(self, head):
        port = head.rpartition(":")[2]
        with pytest.raises(ConfigError, match=rf"^--port {port} is taken: .*`veer cluster stop`"):
            veer("cluster", "head", f"--port={port}")


@pytest.fixture
def node() -> Iterator[subprocess.Popen[bytes]]:
    """What is like a node for `stay`: a process with the mark of `ADDRESS` and a raylet's name."""
    command = ["bash", "-c", f"exec -a {staying.RAYLET.decode()} sleep 60"]
    with subprocess.Popen(command, env={cluster.MARK: ADDRESS}) as process:
        yield process
        process.kill()


def test_command_stays_as_long_as_the_machine_is_a_node(node, monkeypatch):
    monkeypatch.setattr(staying, "STAY_POLL_S", 0.01)
    threading.Timer(0.2, node.kill).start()
    with pytest.raises(ConfigError, match=f"no longer a node of {ADDRESS}: .* start it again"):
        staying.stay(ADDRESS)
    assert node.wait(10) == -signal.SIGKILL


def test_machine_leaves_at_sigterm(node):
    before = signal.getsignal(signal.SIGTERM)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    staying.stay(ADDRESS)
    assert node.wait(10) == -signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_dashboard_that_was_asked_for_listens_only_on_loopback():
    pytest.importorskip("aiohttp", reason="the dashboard needs ray[default]")
    pytest.importorskip("grpc", reason="the dashboard needs ray[default]")
    port, web = free_port(), free_port()
    address = f"{ray.util.get_node_ip_address()}:{port}"
    try:
        veer("cluster", "head", f"--port={port}", "--dashboard", f"--dashboard-port={web}")
        hosts = {host for host, at in listening(cluster.node_processes(address)) if at == web}
        assert hosts, "no dashboard"
        assert hosts <= LOOPBACKS
    finally:
        cluster.stop_nodes(address)
