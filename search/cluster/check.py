"""The check that every node of a cluster can take part in a search: versions and shared storage.

The driver writes a file with a random name into every folder that must be shared. A task on each
node, all at once, reports which of them it sees, whether it may write there, and its versions.
"""

import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.cluster.resources import Node
from search.provenance.provenance import versions
from spaces.files.errors import ConfigError, VeerError
from spaces.files.locations import origin_of
from trainable.storage.remote import RemoteFolder
from trainable.storage.retrying import Patience

# Generous, since a worker imports PyTorch first, perhaps from a network file system.
ANSWER_WITHIN_S = 120.0
# A client of a network file system caches the list of a folder's files for some seconds.
SEEN_WITHIN_S = 5.0
FOLDER_POLL_S = 0.1
SAME_VEER = "install the same Veer, with the same requirements.lock, on every machine"
SHARED = "run folder and $VEER_CACHE must lie at the same path on storage that all nodes share"
CREDENTIALS = "every node needs the same network and credentials of its own (docs/cluster.md)"
FEW_TRIES = Patience(attempts=3)
REACHABLE = "look at the node with `ray status`, or take it out of the cluster"

# A trial compares its versions before every epoch, and hashing all of Veer's source takes time;
# the code that a process has imported does not change.
_known_versions = lru_cache(maxsize=1)(versions)


def require_uniform_nodes(
    nodes: Sequence[Node], folders: Sequence[Path], *, answer_within_s: float = ANSWER_WITHIN_S
) -> None:
    """Refuse a cluster with nodes that cannot take part in a search, before it begins.

    Args:
        nodes: The live nodes.
        folders: Folders that all nodes must share; created if missing. Of a working copy, its
            folder in object storage.
        answer_within_s: Seconds that a node has to answer.

    Raises:
        ConfigError: A node cannot take part; all such nodes are named with their faults and fixes.
    """
    origins = [origin_of(folder) for folder in folders]
    own = [folder for folder, uri in zip(folders, origins, strict=True) if uri is None]
    uris = [uri for uri in origins if uri is not None]
    with _marked(own) as marks:
        # No CPU, so that running trials do not delay the answer; no retry, so that a node whose
        # worker dies is reported.
        asked = ray.remote(num_cpus=0, max_retries=0)(inspect_node)
        answers = [
            asked.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.node_id, soft=False)
            ).remote(marks, uris)
            for node in nodes
        ]
        if answers:
            # One wait for all nodes: a cluster with several dead nodes is reported after one
            # timeout.
            ray.wait(answers, num_returns=len(answers), timeout=answer_within_s)
        faults: list[str] = []
        fixes: dict[str, None] = {}
        for node, answer in zip(nodes, answers, strict=True):
            for fault, fix in _faults(node, answer, answer_within_s):
                faults.append(fault)
                fixes[fix] = None
    if faults:
        raise ConfigError("; ".join([*faults, *fixes]))


def inspect_node(marks: Mapping[str, str], uris: Sequence[str] = ()) -> dict[str, Any]:
    """Return the versions of the node on which this runs, and its faulty folders.

    Args:
        marks: Content of the files that the driver has just written, by path.
        uris: Folders in object storage.

    Returns:
        `versions`, in `folders` the fault of each folder that the node cannot use, and in
        `storage` the error of the first folder in object storage that it cannot use.
    """
    latest_s = time.monotonic() + SEEN_WITHIN_S
    folders = {}
    for path, content in marks.items():
        file = Path(path)
        while not (seen := _reads(file, content)) and time.monotonic() < latest_s:
            time.sleep(FOLDER_POLL_S)
        if not seen:
            folders[str(file.parent)] = "does not see"
        # A node may run as another user, to whom the shared folder is read-only.
        elif not os.access(file.parent, os.W_OK | os.X_OK):
            folders[str(file.parent)] = "may not write to"
    return {"versions": versions(), "folders": folders, "storage": _storage_fault(uris)}


def _storage_fault(uris: Sequence[str]) -> str | None:
    name = f".veer-{secrets.token_hex(8)}"
    try:
        for uri in uris:
            folder = RemoteFolder(uri, FEW_TRIES)
            folder.write(name.encode(), name)
            folder.delete(name)
    except VeerError as error:
        return str(error)
    return None


def differing_versions(theirs: Mapping[str, str], ours: Mapping[str, str]) -> str:
    """Return the differences, as in `torch 2.10.0 (this machine 2.11.0)`; empty if none."""
    names = sorted(theirs.keys() | ours.keys())
    return ", ".join(
        f"{name} {theirs.get(name, 'none')} (this machine {ours.get(name, 'none')})"
        for name in names
        if theirs.get(name) != ours.get(name)
    )


def require_versions(expected: Mapping[str, str]) -> None:
    """Refuse to work in a process with other versions, on a node that joined after the start.

    Args:
        expected: The driver's versions; empty where nothing is to be compared.

    Raises:
        RuntimeError: They differ. No error of the trial: it can run on another node.
    """
    if expected and (wrong := differing_versions(_known_versions(), expected)):
        where = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        raise RuntimeError(
            f"node {where} joined the cluster with {wrong.replace('this machine', 'the search')}"
            f"; {SAME_VEER}, or stop that node"
        )


def last_line(error: BaseException) -> str:
    """Return the last line of an error's message, which after a traceback is the error itself."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip()


def _faults(node: Node, answer: Any, answer_within_s: float) -> Iterator[tuple[str, str]]:
    """Yield the faults of a node, each with its fix."""
    name = f"node {node.address}"
    ready, _ = ray.wait([answer], timeout=0)
    if not ready:
        # Without it the task would stay queued at the node, and start during the search.
        ray.cancel(answer, force=True)
        yield f"{name} did not answer within {answer_within_s:g} s", REACHABLE
        return
    try:
        found = ray.get(answer)
    except RayError as error:
        yield f"{name} cannot run Veer ({last_line(error)})", SAME_VEER
        return
    if wrong := differing_versions(found["versions"], versions()):
        yield f"{name} has {wrong}", SAME_VEER
    for folder, why in found["folders"].items():
        yield f"{name} {why} {folder}", SHARED
    if found["storage"] is not None:
        yield f"{name} cannot use the object storage ({found['storage']})", CREDENTIALS


@contextmanager
def _marked(folders: Sequence[Path]) -> Iterator[dict[str, str]]:
    """Write a file into each folder and remove it after the block; yield the contents by path."""
    marks: dict[str, str] = {}
    try:
        for folder in folders:
            # Random: a folder at the same path on a node's own disk must not pass as shared.
            name = f".veer-{secrets.token_hex(8)}"
            file, content = folder.absolute() / name, secrets.token_hex(8)
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content)
            except OSError as error:
                raise ConfigError(
                    f"{folder}: cannot write to it: {error.strerror or error}; {SHARED}"
                ) from error
            marks[str(file)] = content
        yield marks
    finally:
        for path in marks:
            Path(path).unlink(missing_ok=True)


def _reads(file: Path, content: str) -> bool:
    try:
        return file.read_text() == content
    except OSError:
        return False
