"""A network compiled by `torch.compile` for the CPU, front end included: no file, but a form.

It compiles at the first input of each shape and number of threads, which takes some seconds and
needs a C++ compiler.

Shapes: B batch, S samples, D embedding.
"""

import logging
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from models import LogMel
from spaces.files.errors import ConversionError
from trainable.checkpoints.loading import LoadedModel
from trainable.deployment.onnx_graph import example_input
from trainable.deployment.request import FormRequest
from trainable.deployment.running import Embed, network_runner
from trainable.machine.engine import INDUCTOR, limit_compile_workers
from trainable.machine.hardware import cpu_has_bfloat16

# By the name of the form.
COMPILED_DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {"torch-compile": torch.float32, "torch-compile-bf16": torch.bfloat16}
)
LOWEST_COSINE = {torch.float32: 0.9999, torch.bfloat16: 0.99}
# Variants of one function that a process keeps, over all models, shapes and numbers of threads;
# above it PyTorch silently runs uncompiled. Its own limit is 8.
MOST_VARIANTS = 256
# 200 frames, as in a benchmark: each other length is compiled anew.
_COMPARED_S = 1.99


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledNetwork:
    """A compiled network.

    Attributes:
        run: From waveforms (B, S) to embeddings (B, D).
        cosine: The lowest cosine of its embeddings to the network's, on noise.
    """

    run: Embed
    cosine: float


def compile_network(
    loaded: LoadedModel, dtype: torch.dtype = torch.float32, backend: str = INDUCTOR
) -> CompiledNetwork:
    """Compile a network, for utterances of 2 s to begin with.

    Args:
        loaded: The network, on the CPU.
        dtype: Type of the network's products, float32 or bfloat16; the front end is in float32.
        backend: Backend of `torch.compile`.

    Raises:
        ConversionError: There is no C++ compiler, the network cannot be compiled, or the compiled
            one gives other embeddings; or the CPU has no bfloat16.
    """
    if dtype == torch.bfloat16 and cpu_has_bfloat16() is False:
        raise ConversionError(
            "this CPU has no instructions for bfloat16 (AVX-512 BF16, AMX, or ARM's), without "
            "which it is slower than float32"
        )
    from torch._dynamo import config  # takes a second to import

    config.recompile_limit = max(config.recompile_limit, MOST_VARIANTS)
    limit_compile_workers(1)
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # that CUDA is missing
    # The spectrum stays PyTorch's own, which is as fast.
    warnings.filterwarnings("ignore", message="Torchinductor does not support code generation")
    model, log_mel = loaded.model, LogMel(loaded.config.model.num_mels)

    def embed(wave_BS: Tensor) -> Tensor:
        feat_BTF = log_mel(wave_BS)
        with nullcontext() if dtype == torch.float32 else torch.autocast("cpu", dtype):
            return model.embed(feat_BTF).float()

    by_threads: dict[int, Embed] = {}

    def compiled() -> Embed:
        threads = torch.get_num_threads()
        if threads not in by_threads:
            # By name: what PyTorch keeps on disk of a graph does not depend on the number, and
            # would be used for another one.
            more = {"options": {"cpp.threads": threads}} if backend == INDUCTOR else {}
            by_threads[threads] = torch.compile(embed, backend=backend, dynamic=False, **more)  # type: ignore[call-overload]
        return by_threads[threads]

    @torch.inference_mode()
    def run(wave_BS: Tensor) -> Tensor:
        try:
            embedding_BD: Tensor = compiled()(wave_BS)
        # The compiler raises what it likes, at the first input of a shape.
        except Exception as error:
            # PyTorch puts the cause on the first two lines, and advice on debugging below.
            reason = " ".join(str(error).strip().split("\n")[:2])
            raise ConversionError(
                f"torch.compile failed ({reason}); it needs a C++ compiler (g++) and the headers "
                "of Python"
            ) from error
        return embedding_BD

    return CompiledNetwork(run=run, cosine=_compared(loaded, run, LOWEST_COSINE[dtype]))


def _compared(loaded: LoadedModel, run: Embed, lowest: float) -> float:
    request = FormRequest(loaded=loaded, form="torchscript")
    wave_BS = example_input(request, batch=1, seconds=_COMPARED_S)
    got_BD = run(wave_BS)
    want_BD = network_runner(request)(wave_BS)
    # NaN stays NaN in a minimum of tensors, and is below no bound.
    cosine = float(torch.cosine_similarity(got_BD.double(), want_BD.double()).min())
    if not cosine >= lowest:
        raise ConversionError(
            f"torch.compile gives other embeddings than the network: cosine {cosine:.4f}, at "
            f"least {lowest} is required"
        )
    return cosine
