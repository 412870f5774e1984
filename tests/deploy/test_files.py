"""The files for containers and clusters, as far as they can be checked without one."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.search.real_search import ROOT

DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


def cluster_of(manifest: dict[str, Any]) -> dict[str, Any] | None:
    """Return the specification of the Ray cluster in a manifest, None if it has none."""
    spec: dict[str, Any] = manifest["spec"]
    return spec.get("rayClusterSpec", spec) if manifest["kind"].startswith("Ray") else None


def pods_of(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.stem)
def test_cluster_demands_a_token_and_gives_no_root(file: Path) -> None:
    cluster = cluster_of(yaml.safe_load(file.read_text()))
    if cluster is None:
        return
    assert cluster["authOptions"] == {"mode": "token"}
    assert f"ray=={cluster['rayVersion']}\n" in (ROOT / "requirements.lock").read_text()
    claim = yaml.safe_load((DEPLOY / "kubernetes" / "storage.yaml").read_text())
    for pod in pods_of(cluster):
        assert pod["securityContext"]["runAsNonRoot"]
        assert [each["persistentVolumeClaim"]["claimName"] for each in pod["volumes"]] == [
            claim["metadata"]["name"]
        ]


def test_job_and_cluster_have_the_same_pods() -> None:
    cluster, job = (
        cluster_of(yaml.safe_load((DEPLOY / "kubernetes" / f"{name}.yaml").read_text()))
        for name in ("cluster", "job")
    )
    assert cluster == job


def test_file_for_ray_up_is_one_that_ray_takes() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text())
    validate_config(prepare_config(config))
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        assert "RAY_AUTH_MODE=token" in config[commands][-1]


@pytest.mark.parametrize("file", sorted((DEPLOY / "slurm").iterdir()), ids=lambda file: file.stem)
def test_script_has_no_error_of_syntax(file: Path) -> None:
    done = subprocess.run(["bash", "-n", file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_in_the_files_exist() -> None:
    text = "".join(file.read_text() for file in DEPLOY.rglob("*") if file.is_file())
    named = set(re.findall(r'(?<![\w/])"?\$?veer"? (cluster \w+|search|resume)', text))
    assert named == {"cluster head", "cluster join", "cluster stop", "search", "resume"}
