import pickle

import pytest
from ray import cloudpickle
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    LocalRayletDiedError,
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
    RayTaskError,
)

from search.ray_tune.actors import LostActorError, as_tune_error, fault_from_error
from spaces.files.errors import DeviceError

# Messages of Ray 2.60, recorded after killing a worker, `ray.kill`, and killing a raylet.
DIED = (
    "The actor died unexpectedly before finishing this task.\n\tclass_name: A\n\tpid: 7118\n"
    "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker "
    "exit detail: Worker unexpectedly exits with a connection error code 2. End of file. Some "
    "common causes include: (1) the process was killed by the OOM killer due to high memory usage"
)
NODE_DIED = (
    "The actor died unexpectedly before finishing this task.\n\tclass_name: A\n"
    "The actor is dead because its node has died. Node Id: 98a3bad2"
)
MEMORY = (
    "1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: "
    "192.0.2.2) was 22 GB used / 23 GB limit\nOOM kill reason: Memory usage exceeded threshold\n"
)


def actor_died(text: str, *, preempted: bool = False) -> RayActorError:
    error = ActorDiedError()
    error.error_msg, error._preempted = text, preempted
    return error


def task_error(cause: Exception) -> Exception:
    return RayTaskError("train", "Traceback ...", cause).as_instanceof_cause()


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            actor_died(DIED),
            "worker_lost",
            "its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: "
            "Worker unexpectedly exits with a connection error code 2. End of file.",
        ),
        (actor_died(NODE_DIED), "node_lost", "its node has died. Node Id: 98a3bad2"),
        (actor_died(DIED, preempted=True), "node_lost", None),
        (ActorUnavailableError("Socket closed", None), "node_lost", "Socket closed"),
        (NodeDiedError("gone"), "node_lost", "gone"),
        (LocalRayletDiedError(), "node_lost", "The task's local raylet died."),
        (
            OutOfMemoryError(MEMORY),
            "out_of_memory",
            MEMORY.partition("\n")[0],
        ),
        (
            task_error(DeviceError("RuntimeError: CUDA error: an illegal")),
            "device_error",
            "RuntimeError: CUDA error: an illegal",
        ),
        (task_error(LookupError("no such\nthing")), "error", "LookupError: no such thing"),
    ],
)
def test_deaths_get_a_kind_and_a_one_line_message(error, kind, message):
    """Also after Tune has written the error to a file and it was read back."""
    known = as_tune_error(error)
    assert isinstance(known, RayActorError | RayTaskError)
    for each in (known, cloudpickle.loads(cloudpickle.dumps(known))):
        fault = fault_from_error(each)
        assert fault.kind == kind
        assert message is None or message in fault.message
        assert "\n" not in fault.message
        assert "common causes" not in fault.message


def test_error_that_tune_does_not_know_keeps_its_text():
    found = pickle.loads(pickle.dumps(as_tune_error(OutOfMemoryError(MEMORY))))
    assert isinstance(found, LostActorError)
    assert (str(found), found.is_memory, found.preempted) == (MEMORY, True, False)
