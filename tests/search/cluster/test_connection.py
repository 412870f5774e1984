"""Access to a cluster, and the files that a local Ray leaves behind; on real Ray processes."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import ray

from search.cluster.connection import connected, require_access, version_mismatch
from search.cluster.tokens import TOKEN
from search.provenance.provenance import AUTH_MODE
from spaces.files.errors import ConfigError
from tests.search.ray_nodes import TOKEN as RIGHT
from tests.search.ray_nodes import ray_nodes

WRONG = "f" * 64
LOCAL = """
import os, pathlib, ray
from search.cluster.connection import connected

@ray.remote
def token():
    return os.environ["RAY_AUTH_TOKEN"]

def node():
    return ray._private.worker._global_node

seen = []
for _ in range(2):
    with connected(None, num_cpus=1):
        seen.append(ray.get(token.remote()))
        session = pathlib.Path(node().get_session_dir_path())
        started = set(node().all_processes)
    assert started == {"gcs_server", "raylet"}, started
    assert "RAY_AUTH_TOKEN" not in os.environ and "RAY_AUTH_MODE" not in os.environ
    logs = [file for file in session.rglob("*") if file.is_file()]
    assert len(logs) > 3, logs
    assert not [file for file in logs if seen[-1].encode() in file.read_bytes()]
assert seen[0] != seen[1] and all(len(bytes.fromhex(one)) == 32 for one in seen), "tokens"
"""


def put_token(home: Path, token: str, mode: int = 0o600) -> Path:
    file = home / ".ray" / "auth_token"
    file.parent.mkdir(exist_ok=True)
    file.write_text(token)
    file.chmod(mode)
    return file


def answer(address: str) -> int:
    with connected(address):
        return ray.get(ray.remote(lambda: 6 * 7).remote())


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.usefixtures("no_ray_here")
class TestClusterWithAToken:
    def test_driver_with_the_token_in_its_file_runs_a_task(self, cluster, home):
        put_token(home, RIGHT)
        assert answer(cluster.address) == 42
        assert AUTH_MODE not in os.environ

    def test_mode_of_a_file_that_others_could_read_is_fixed(self, cluster, home, caplog):
        file = put_token(home, RIGHT + "\n", mode=0o644)
        assert answer(cluster.address) == 42
        assert file.stat().st_mode & 0o777 == 0o600
        assert f"{file}: other users of this machine could use the token" in caplog.text
        assert RIGHT not in caplog.text

    def test_driver_without_a_token_is_refused(self, cluster, home, capfd):
        message = (
            rf"^cannot join Ray at '{cluster.address}': it demands a token, and this machine has "
            r"none; on the machine of `veer cluster head`, `veer cluster token` prints"
        )
        with pytest.raises(ConfigError, match=message):
            answer(cluster.address)
        assert capfd.readouterr().err == ""
        assert list(home.iterdir()) == []

    def test_driver_with_another_token_is_refused(self, cluster, home):
        file = put_token(home, WRONG)
        with pytest.raises(ConfigError, match=rf"demands another token than that of {file};"):
            answer(cluster.address)

    def test_token_of_the_environment_overrides_the_file(self, cluster, home, monkeypatch):
        put_token(home, RIGHT)
        monkeypatch.setenv(TOKEN, WRONG)
        with pytest.raises(ConfigError, match=r"another token than that of \$RAY_AUTH_TOKEN;"):
            answer(cluster.address)

    def test_mode_that_the_user_has_set_stands(self, cluster, home, monkeypatch):
        put_token(home, RIGHT)
        monkeypatch.setenv(AUTH_MODE, "disabled")
        with pytest.raises(ConfigError, match=r"RAY_AUTH_MODE=disabled keeps this process from"):
            answer(cluster.address)

    def test_other_version_of_ray_is_refused_with_the_difference(self, cluster, home, monkeypatch):
        put_token(home, RIGHT)
        message = rf"the cluster has ray {ray.__version__}, this machine 9\.9\.9; install the same"
        monkeypatch.setattr(ray, "__version__", "9.9.9")
        with pytest.raises(ConfigError, match=message):
            answer(cluster.address)
        assert not ray.is_initialized()


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.usefixtures("no_ray_here")
def test_token_does_no_harm_where_none_is_demanded(home):
    with ray_nodes((1,), RAY_AUTH_MODE="disabled") as cluster:
        put_token(home, RIGHT)
        assert answer(cluster.address) == 42


@pytest.mark.cluster
@pytest.mark.slow
def test_ray_of_this_process_leaves_nothing_at_home_and_no_token_in_its_logs(home):
    done = subprocess.run(
        [sys.executable, "-c", LOCAL], cwd=Path(__file__).parents[3],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.usefixtures("home", "no_ray_here")
def test_no_process_joins_the_ray_of_another_without_its_token():
    with connected(None, num_cpus=1):
        address = ray.get_runtime_context().gcs_address
        imports = "from search.cluster.connection import connected"
        script = f"{imports}\nwith connected({address!r}): pass"
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=Path(__file__).parents[3],
            env={k: v for k, v in os.environ.items() if k not in (AUTH_MODE, TOKEN)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "it demands a token, and this machine has none" in done.stderr


@pytest.mark.usefixtures("home", "no_ray_here")
@pytest.mark.parametrize("address", ["127.0.0.1:9", "no-such-host.invalid:6379"])
def test_cluster_that_is_not_there_is_an_error(address):
    message = rf"cannot join Ray at '{address}': .*`veer cluster head`"
    with pytest.raises(ConfigError, match=message), connected(address):
        pass


@pytest.mark.usefixtures("home", "no_ray_here")
def test_ray_that_does_not_come_up_in_time_is_an_error_with_its_fix(monkeypatch):
    def too_late(*_, **__):
        # Ray raises a bare Exception.
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", too_late)
    message = r"cannot start Ray on this machine: The current node timed out .* same command again"
    with pytest.raises(ConfigError, match=message), connected(None):
        pass


@pytest.mark.parametrize("port", ["²²", "٣", "0", "65536", "99999", "-1", "", "9" * 5000, "a"])
def test_an_invalid_port_is_refused(port):
    message = "cannot join Ray at '127.0.0.1:.*: the port must be a number from 1 to 65535; `veer"
    with pytest.raises(ConfigError, match=message) as caught:
        require_access(f"127.0.0.1:{port}", None)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("host", ["a\0b", "x" * 300, ".a", "\udcff"])
def test_an_invalid_host_is_refused(host):
    with pytest.raises(ConfigError, match=r"cannot join Ray at .*`veer cluster head`"):
        require_access(f"{host}:6379", None)


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_another_service_at_the_address_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve_nothing, args=(server,), daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        imports = "from search.cluster.connection import connected"
        # Ray reads its environment once a process.
        waits = ("RAY_py_gcs_connect_timeout_s", "RAY_gcs_rpc_server_connect_timeout_s")
        done = subprocess.run(
            [sys.executable, "-c", f"{imports}\nwith connected({address!r}): pass"],
            cwd=Path(__file__).parents[3], env=os.environ | dict.fromkeys(waits, "1"),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    message = f"cannot join Ray at '{address}': something answers there that is not a Ray cluster"
    assert message in done.stderr


def serve_nothing(server: socket.socket) -> None:
    while True:
        try:
            one, _ = server.accept()
        except OSError:
            return
        with one:
            one.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_version_mismatch_of_ray_becomes_a_short_message():
    message = (
        "Version mismatch: The cluster was started with:\n    Ray: 2.60.0\n    Python: 3.11.9\n"
        "This process on node 10.0.0.7 was started with:\n    Ray: 2.60.0\n    Python: 3.12.1\n"
    )
    assert version_mismatch(message) == (
        "the cluster has python 3.11.9, this machine 3.12.1; install the same Python and the "
        "same Veer on all machines"
    )
    assert version_mismatch("Failed to connect to Ray cluster") is None
