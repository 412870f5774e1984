"""A cluster that several files of tests join."""

import os
from collections.abc import Iterator

import pytest

from tests.search.ray_nodes import RayNodes, ray_nodes


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNodes]:
    """Two nodes that demand `TOKEN`, the second with another version of Veer by its metadata."""
    other = tmp_path_factory.mktemp("other")
    info = other / "veer-9.9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: veer\nVersion: 9.9.9\n")
    with ray_nodes((1,)) as nodes:
        path = os.pathsep.join(filter(None, [str(other), os.environ.get("PYTHONPATH")]))
        nodes.add(PYTHONPATH=path)
        yield nodes
