"""NVIDIA's process-sharing service (MPS), started for a benchmark and stopped at its end."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MPS = "nvidia-cuda-mps-control"
MPS_TIMEOUT_S = 30.0


class NoSharingServiceError(Exception):
    """The process-sharing service cannot be used; the message has the reason."""


@contextmanager
def sharing_service() -> Iterator[dict[str, str]]:
    """Start MPS in its own folder and stop it at the end; yield the environment that uses it.

    Raises:
        NoSharingServiceError: It is not installed, or does not start.
    """
    if shutil.which(MPS) is None:
        raise NoSharingServiceError(f"{MPS} is not installed")
    with tempfile.TemporaryDirectory(prefix="veer-mps-") as folder:
        own = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}

        def control(*arguments: str, commands: str = "") -> subprocess.CompletedProcess[str]:
            # Files, since the daemon keeps its standard streams and a pipe would never end.
            with (Path(folder) / "output").open("w+") as output:
                run = subprocess.run(
                    [MPS, *arguments], input=commands, text=True, check=False, stdout=output,
                    stderr=subprocess.STDOUT, env=os.environ | own, timeout=MPS_TIMEOUT_S,
                )  # fmt: skip
                output.seek(0)
                return subprocess.CompletedProcess(run.args, run.returncode, output.read())

        try:
            started = control("-d")
            if started.returncode != 0:
                why = started.stdout.strip() or f"status {started.returncode}"
                raise NoSharingServiceError(f"{MPS} does not start: {why}")
            yield own
        finally:
            control(commands="quit\n")
