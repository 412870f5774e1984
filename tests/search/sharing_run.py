"""Searches in a process of their own, one after the other, on a Ray with declared GPUs.

The student, whose parameters are fixed in each space, writes down in `trace` where each of its
training passes ran. It runs out of memory in its fourth one where it is wide and has less than a
whole GPU (or than `below_cpus`). It waits `pause_s` in each pass, and after the first one until
`at_once` trials have come to it, or in vain for 2 min.
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
    def __init__(
        self, num_mels, embedding_dim, trace, width=8, at_once=1, pause_s=0.0, below_cpus=0
    ):
        super().__init__()
        self.trace, self.at_once, self.pause_s = trace, at_once, pause_s
        self.below_cpus = below_cpus
        self.embedding_dim = embedding_dim
        self.width = width
        self.num_passes = 0
        self.up = torch.nn.Linear(num_mels, width)
        self.embedding = torch.nn.Linear(width, embedding_dim)

    def encode(self, norm_BTF, *, with_stages):
        if self.training and torch.is_grad_enabled() and ray.is_initialized():
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
        if self.below_cpus:
            has, needs = given["CPU"], self.below_cpus
        line = dict(
            time_s=time.time(), pid=os.getpid(), gpu=os.environ.get("CUDA_VISIBLE_DEVICES"),
            share=given.get("GPU", 0.0), cpus=given["CPU"], threads=torch.get_num_threads(),
            width=self.width,
        )
        with open(self.trace, "a") as out:
            out.write(json.dumps(line) + "\\n")
        time.sleep(self.pause_s)
        if self.num_passes == 1:
            self.wait_for_others()
        if self.width >= 12 and has < needs - 1e-3 and self.num_passes > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def wait_for_others(self):
        latest_s = time.monotonic() + 120
        while time.monotonic() < latest_s:
            with open(self.trace) as trace:
                if len({json.loads(line)["pid"] for line in trace}) >= self.at_once:
                    return
            time.sleep(0.05)
"""


def main() -> None:
    """Run the searches; arguments: JSON of folders, code, num_cpus, num_gpus.

    In the end it prints which slow libraries it has loaded that only some figures need.
    """
    options = json.loads(sys.argv[1])
    allow_code(Path(options["code"]))
    with connected(None, num_cpus=options["num_cpus"], num_gpus=options["num_gpus"]):
        for folder in map(Path, options["folders"]):
            settings = read_search_config(folder / "settings.yaml")
            view = SearchView(Console(width=200))
            print(run_search(settings, folder / "run", view).reason)  # noqa: T201
    print("loaded:", *sorted({"scipy.stats", "sklearn"} & sys.modules.keys()))  # noqa: T201


if __name__ == "__main__":
    main()
