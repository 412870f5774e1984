"""Paths and URIs of object stores."""

from pathlib import Path

import pytest

from spaces.files.errors import ConfigError
from spaces.files.locations import (
    mirror_folder,
    mirror_path,
    name_for_people,
    origin_of,
    uri_of,
)


@pytest.mark.parametrize("place", ["runs/first", "/a/b", "s3", "a/s3:/b", "C:x", "gs", "."])
def test_paths_are_no_uris(place: str) -> None:
    assert uri_of(Path(place)) is None


@pytest.mark.parametrize(
    ("place", "uri"),
    [
        ("s3://bucket/runs/first", "s3://bucket/runs/first"),
        ("s3://bucket/runs/first/", "s3://bucket/runs/first"),
        ("gs://bucket", "gs://bucket"),
        (Path("s3://bucket/runs"), "s3://bucket/runs"),
        (Path("gs://bucket//a"), "gs://bucket/a"),
    ],
)
def test_a_uri_is_found_also_where_pathlib_has_merged_its_slashes(
    place: str | Path, uri: str
) -> None:
    assert uri_of(place) == uri


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s3://", "s3:.*a URI must name a bucket"),
        ("hdfs://host/a", "must be a path, s3:// or gs://, got hdfs:"),
        ("gcs://bucket/a", "did you mean gs://bucket/a?"),
        (Path("s3a://bucket/a"), "did you mean s3://bucket/a?"),
    ],
)
def test_other_uris_are_refused(place: str | Path, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        uri_of(place)


def test_a_working_copy_knows_its_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VEER_LOCAL", str(tmp_path / "local"))
    folder = mirror_folder("s3://bucket/runs/first")
    assert folder == mirror_path("s3://bucket/runs/first")
    assert folder != mirror_path("s3://other/runs/first")
    assert origin_of(folder) == name_for_people(folder) == "s3://bucket/runs/first"
    assert origin_of(tmp_path) is None
    assert name_for_people(tmp_path) == tmp_path
