import json
import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from search.provenance.provenance import (
    code_sha256,
    git_state,
    installed_packages,
    provenance,
    relevant_variables,
    versions,
)


def test_provenance_is_plain_and_names_versions_and_command():
    found = provenance()
    assert json.loads(json.dumps(found)) == found
    assert found["versions"]["torch"] == version("torch")
    assert sys.argv[0] in found["command"]
    assert found["hardware"]
    assert found["folder"] == os.getcwd()  # noqa: PTH109 - a second source


def test_git_state_names_the_commit_and_whether_files_changed(tmp_path):
    def git(*args: str) -> str:
        command = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", *args]
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert git_state(tmp_path) == {"commit": commit, "has_changes": False}
    (tmp_path / "file").write_text("2")
    assert git_state(tmp_path) == {"commit": commit, "has_changes": True}


def test_folder_without_git_has_no_commit(tmp_path):
    assert git_state(tmp_path) is None


def test_versions_are_what_all_machines_must_share():
    found = versions()
    assert list(found) == ["veer", "torch", "torchaudio", "ray", "numpy", "python", "code"]
    assert found["torch"] == version("torch").split("+")[0]
    assert found["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert found["code"] == code_sha256()[:16]


@pytest.fixture
def source(tmp_path):
    """A folder with the five packages, a module each."""
    for name in ("models", "results", "search", "spaces", "trainable"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    return tmp_path


def test_code_is_hashed_only_by_names_and_contents(source):
    first = code_sha256(source)
    (source / "models" / "__init__.py").write_text("")  # another time of change
    (source / "models" / "notes.txt").write_text("no code")
    (source / "tests").mkdir()
    (source / "tests" / "test.py").write_text("1")
    assert code_sha256(source) == first
    (source / "spaces" / "presets").mkdir()
    (source / "spaces" / "presets" / "mixer.yaml").write_text("a: 1")
    second = code_sha256(source)
    (source / "spaces" / "presets" / "mixer.yaml").write_text("a: 2")
    third = code_sha256(source)
    (source / "spaces" / "presets" / "mixer.yaml").rename(source / "spaces" / "mixer.yaml")
    assert len({first, second, third, code_sha256(source)}) == 4


def test_packages_are_all_that_pip_would_install_again():
    found = installed_packages()
    assert f"numpy=={version('numpy')}" in found
    assert len(found) == len(set(found)) > 10
    assert all(each.count("==") == 1 for each in found)
    assert found == sorted(found, key=str.lower)


def test_variables_are_those_that_numbers_and_places_depend_on_and_no_secret():
    environment = {
        "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef", "OMP_NUM_THREADS": "1",
        "MKL_CBWR": "AVX2", "VEER_CACHE": "/cache", "VEER_TOKEN": "hidden", "HOME": "/root",
        "CUDA_VISIBLE_DEVICES": "", "VEER_API_KEY": "hidden too",
        "TORCH_BLAS_PREFER_CUBLASLT": "1", "TORCHINDUCTOR_MAX_AUTOTUNE": "1",
        "TORCHINDUCTOR_CACHE_DIR": "/tmp/of-torch",
    }  # fmt: skip
    assert relevant_variables(environment) == {
        "CUDA_VISIBLE_DEVICES": "", "MKL_CBWR": "AVX2", "OMP_NUM_THREADS": "1",
        "RAY_AUTH_MODE": "token", "VEER_CACHE": "/cache", "TORCH_BLAS_PREFER_CUBLASLT": "1",
        "TORCHINDUCTOR_MAX_AUTOTUNE": "1",
    }  # fmt: skip


def test_provenance_holds_no_token(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "feedc0ffee" * 6)
    text = json.dumps(provenance())
    assert '"RAY_AUTH_MODE": "token"' in text
    assert "RAY_AUTH_TOKEN" not in text
    assert "feedc0ffee" not in text
