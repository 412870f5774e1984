"""A search in a process of its own, on a Ray with declared GPUs.

The student writes down where each of its training passes ran, and runs out of memory in its
fourth one where it is wide and has less than a whole GPU (or than the CPUs in
$HUNGRY_BELOW_CPUS). It goes on after the first pass when $HUNGRY_AT_ONCE trials have come to
it, or in vain after 2 min.
"""

import json
import sys
from pathlib import Path

from rich.console import Console

from models.user_code import allow_code
from search.cluster.connection import connected
from search.config.reading import read_search_config
from search.run.progress import SearchView
from search.run.run_search import run_search

WIDE = 12
NET = """
import json, os, time
import ray, torch
from models import ModelOutput, SpeakerModel

class Net(SpeakerModel):
    def __init__(self, num_mels, embedding_dim, width=8):
        super().__init__()
        self.embedding_dim = embedding_dim
        self.width = width
        self.num_passes = 0
        self.up = torch.nn.Linear(num_mels, width)
        self.embedding = torch.nn.Linear(width, embedding_dim)

    def encode(self, norm_BTF, *, with_stages):
        if self.training and torch.is_grad_enabled() and "HUNGRY_TRACE" in os.environ:
            self.note_pass()
        x_BTC = torch.relu(self.up(norm_BTF))
        stages = (x_BTC,) if with_stages else ()
        return ModelOutput(self.embedding(x_BTC.mean(1)), stages, None)

    def note_pass(self):
        context = ray.get_runtime_context()
        if context.worker.mode != ray.WORKER_MODE:
            return  # tried out before the search
        self.num_passes += 1
        given = context.get_assigned_resources()
        has, needs = given.get("GPU", 0.0), 1.0
        if "HUNGRY_BELOW_CPUS" in os.environ:
            has, needs = given["CPU"], float(os.environ["HUNGRY_BELOW_CPUS"])
        line = dict(
            time_s=time.time(), pid=os.getpid(), gpu=os.environ.get("CUDA_VISIBLE_DEVICES"),
            share=given.get("GPU", 0.0), cpus=given["CPU"], threads=torch.get_num_threads(),
            width=self.width,
        )
        with open(os.environ["HUNGRY_TRACE"], "a") as out:
            out.write(json.dumps(line) + "\\n")
        if "HUNGRY_PAUSE_S" in os.environ:
            time.sleep(float(os.environ["HUNGRY_PAUSE_S"]))
        if self.num_passes == 1:
            self.wait_for_others(int(os.environ.get("HUNGRY_AT_ONCE", 1)))
        if self.width >= 12 and has < needs - 1e-3 and self.num_passes > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def wait_for_others(self, num_trials):
        latest_s = time.monotonic() + 120
        while time.monotonic() < latest_s:
            with open(os.environ["HUNGRY_TRACE"]) as trace:
                if len({json.loads(line)["pid"] for line in trace}) >= num_trials:
                    return
            time.sleep(0.05)
"""


def main() -> None:
    """Run the search; arguments: JSON of settings, run, code, num_cpus, num_gpus."""
    options = json.loads(sys.argv[1])
    allow_code(Path(options["code"]))
    settings = read_search_config(options["settings"])
    with connected(None, num_cpus=options["num_cpus"], num_gpus=options["num_gpus"]):
        view = SearchView(Console(width=200))
        print(run_search(settings, Path(options["run"]), view).reason)  # noqa: T201


if __name__ == "__main__":
    main()
