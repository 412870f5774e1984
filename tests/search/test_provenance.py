import json
import subprocess
import sys
from importlib.metadata import version

from search.provenance import git_state, provenance


def test_provenance_is_plain_and_names_versions_and_command():
    found = provenance()
    assert json.loads(json.dumps(found)) == found
    assert found["versions"]["torch"] == version("torch")
    assert sys.argv[0] in found["command"]
    assert found["hardware"]


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
