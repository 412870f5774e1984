"""Peak memory of a fresh process that loads a model and embeds one utterance of 2 s."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from spaces.files.errors import ConversionError

# The peak of this process alone: `ru_maxrss` would also count its parent's before `exec`.
_PRINT_PEAK = """
[line] = [each for each in open("/proc/self/status") if each.startswith("VmHWM:")]
print(line.split()[1])
"""
_ONNX = """
import sys
import numpy as np
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(
    sys.argv[1], options, providers=["CPUExecutionProvider"]
)
wave = np.random.default_rng(0).standard_normal((1, 32_000), dtype=np.float32)
session.run(None, {session.get_inputs()[0].name: 0.1 * wave})
"""
_NETWORK = """
import sys
from pathlib import Path
import torch
from models import LogMel
from trainable.checkpoints.loading import load_speaker_model
torch.set_num_threads(1)
loaded = load_speaker_model(Path(sys.argv[1]))
if len(sys.argv) > 2:
    from trainable.deployment.compiled import COMPILED_DTYPES, compile_network
    embed = compile_network(loaded, COMPILED_DTYPES[sys.argv[2]]).run
else:
    log_mel = LogMel(loaded.config.model.num_mels)
    embed = lambda wave_BS: loaded.model.embed(log_mel(wave_BS))
with torch.inference_mode():
    embed(0.1 * torch.randn(1, 31_840))
"""
# Compiling takes most of it, on a busy machine.
_LIMIT_S = 300.0


def onnx_peak_mb(content: bytes) -> float:
    """Return the peak memory in MB with ONNX Runtime and NumPy alone.

    Raises:
        ConversionError: The process failed, or the system does not report its memory.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder) / "graph.onnx"
        file.write_bytes(content)
        return _peak_mb(_ONNX, file)


def network_peak_mb(file: Path, compiled: str | None = None) -> float:
    """Return the peak memory in MB of a model file with PyTorch and Veer's loader.

    Args:
        file: The model file.
        compiled: Name of the form that the network is compiled to there; None to run it as it is.

    Raises:
        ConversionError: As for `onnx_peak_mb`.
    """
    return _peak_mb(_NETWORK, file, *([] if compiled is None else [compiled]))


def _peak_mb(code: str, file: Path, *more: str) -> float:
    command = [sys.executable, "-c", code + _PRINT_PEAK, str(file), *more]
    try:
        done = subprocess.run(  # noqa: S603 - the program is ours, the file an argument
            command, capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ConversionError(f"its process took more than {_LIMIT_S:.0f} s") from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it printed no reason"])[-1]
        raise ConversionError(f"its process ended with status {done.returncode}: {reason}")
    return int(done.stdout.split()[-1]) * 1024 / 1e6
