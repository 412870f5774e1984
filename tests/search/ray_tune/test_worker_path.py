"""Files in the folder that a search is started in are not run in its workers."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = """
import sys
sys.path.insert(0, {root!r})
import ray
from search.cluster.connection import connected

@ray.remote
def look():
    import os, numpy
    return numpy.__file__, sys.path, os.getcwd()

with connected(None, num_cpus=1):
    print(ray.get(look.remote()))
"""


@pytest.mark.cluster
def test_modules_beside_the_corpus_are_not_imported_by_workers(tmp_path):
    for name in ("numpy", "pyarrow", "colorsys"):
        (tmp_path / f"{name}.py").write_text("open('RAN', 'w'); raise ImportError('hijacked')")
    # -P: the driver itself, like the veer command, does not search the working folder either.
    done = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT.format(root=str(ROOT))],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) not in done.stdout
    assert not (tmp_path / "RAN").exists()
