"""Forms of deployment of the best trials and of the teacher, timed beside each other.

A form is run as it is deployed, from a waveform. Each student is compared with the teacher in the
form that is the teacher's fastest in the same setting.
"""

import itertools
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch

from models import SpeakerModel, count_parameters
from models.frontend import SAMPLE_RATE_HZ
from results.export.benchmark import (
    BenchmarkConfig,
    model_macs,
    paired_figures,
    round_plan,
)
from results.export.measured import TEACHER_NAME
from results.records.benchmark_row import COMPILED_FORMS, TORCH, BenchmarkRow, TimedForm
from spaces.files.errors import VeerError
from trainable.checkpoints.loading import LoadedModel
from trainable.cost.quiet_rounds import TimedRounds, time_quiet_rounds
from trainable.deployment.compiled import COMPILED_DTYPES, compile_network
from trainable.deployment.convert import form_bytes
from trainable.deployment.request import Form, FormRequest
from trainable.deployment.running import Embed, compared, network_runner, onnx_runner

# WeSpeaker's protocol for the real-time factor.
CHUNK_S = 5.0
# Seconds that the chunks of a form may take on a busy machine.
CHUNK_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeForm:
    """A form of a model.

    Attributes:
        model: Name of the model in the benchmark.
        form: Name of the form; `TORCH` for the network itself.
        network: The network.
        content: The file; empty for the network itself, compiled or not.
        run: The compiled network; None for other forms.
        cosine: Its lowest cosine to the network's embeddings.
    """

    model: str
    form: str
    network: LoadedModel
    content: bytes = b""
    run: Embed | None = None
    cosine: float | None = None

    @property
    def key(self) -> str:
        """Model and form, as one name."""
        return f"{self.model} {self.form}"

    @property
    def num_bytes(self) -> int:
        """Size of the file; of the network, of its parameters and buffers."""
        tensors = self.network.model.state_dict().values()
        return len(self.content) or sum(each.nbytes for each in tensors)

    def runner(self, num_threads: int) -> Embed:
        """Return a function from waveforms to embeddings."""
        if self.run is not None:
            return self.run  # compiled anew for another number of threads
        if self.form == TORCH:
            return network_runner(FormRequest(loaded=self.network, form="onnx"))
        return onnx_runner(self.content, num_threads)


def make_forms(
    models: Mapping[str, LoadedModel], forms: Sequence[TimedForm], calibration: Sequence[Path] = ()
) -> tuple[list[MadeForm], list[str]]:
    """Convert models to forms, and compare each with its network.

    Args:
        models: The models by name.
        forms: The forms.
        calibration: Audio files of the training, for `onnx-int8-static`.

    Returns:
        Each network and its forms, and a line for every form that a model does not have.
    """
    made, lines = [], []
    for name, loaded in models.items():
        made.append(MadeForm(model=name, form=TORCH, network=loaded))
        for form in dict.fromkeys(forms):
            try:
                made.append(_made(name, loaded, form, calibration))
            except VeerError as error:
                lines.append(f"{name} has no {form}: {error}")
    return made, lines


def _made(
    name: str, loaded: LoadedModel, form: TimedForm, calibration: Sequence[Path]
) -> MadeForm:
    if form in COMPILED_FORMS:
        compiled = compile_network(loaded, COMPILED_DTYPES[form])
        return MadeForm(
            model=name, form=form, network=loaded, run=compiled.run, cosine=compiled.cosine
        )
    request = FormRequest(
        loaded=loaded,
        form=cast(Form, form),
        calibration=calibration if form == "onnx-int8-static" else (),
    )
    content = form_bytes(request)
    cosine = compared(request, onnx_runner(content))
    return MadeForm(model=name, form=form, network=loaded, content=content, cosine=cosine)


def benchmark_forms(made: Sequence[MadeForm], config: BenchmarkConfig) -> list[BenchmarkRow]:
    """Time forms against each other; return a row for each setting and form."""
    before = torch.get_num_threads()
    rows: list[BenchmarkRow] = []
    try:
        chunk_factors = {each.key: _chunk_real_time_factor(each, config) for each in made}
        for num_threads, batch in itertools.product(config.num_threads, config.batch_sizes):
            torch.set_num_threads(num_threads)
            timed = _timed(made, (num_threads, batch), config)
            fastest = fastest_teacher(made, timed)
            for each in made:
                row = _row(each, timed, fastest, (num_threads, batch), config)
                factor = {"chunk_real_time_factor": chunk_factors[each.key]}
                rows.append(row.model_copy(update=factor))
    finally:
        torch.set_num_threads(before)
    return rows


def fastest_teacher(made: Sequence[MadeForm], timed: TimedRounds) -> MadeForm | None:
    """Return the teacher's form with the lowest median; None without a teacher."""
    own = [each for each in made if each.model == TEACHER_NAME]
    return min(own, key=lambda each: statistics.median(timed.usual_s(each.key)), default=None)


def _timed(
    made: Sequence[MadeForm], setting: tuple[int, int], config: BenchmarkConfig
) -> TimedRounds:
    num_threads, batch = setting
    wave_BS = _noise(batch, config.num_samples, config.seed)
    runners = {each.key: each.runner(num_threads) for each in made}
    calls = {key: lambda run=run: run(wave_BS) for key, run in runners.items()}
    for run in runners.values():  # compiles; not within the time limit of the rounds
        run(wave_BS)
    return time_quiet_rounds(calls, round_plan(config, num_threads))


def _row(
    made: MadeForm,
    timed: TimedRounds,
    fastest: MadeForm | None,
    setting: tuple[int, int],
    config: BenchmarkConfig,
) -> BenchmarkRow:
    num_threads, batch = setting
    times = timed.usual_s(made.key)
    median_s = statistics.median(times)
    network: SpeakerModel = made.network.model
    return BenchmarkRow(
        model=made.model,
        form=made.form,
        num_params=count_parameters(network),
        macs=model_macs(network, config.num_frames),
        batch_size=batch,
        num_threads=num_threads,
        latency_median_ms=1e3 * median_s,
        latency_p95_ms=1e3 * float(np.percentile(times, 95)),
        samples_per_s=batch / median_s,
        real_time_factor=median_s * SAMPLE_RATE_HZ / (batch * config.num_samples),
        teacher_form=None if fastest is None else fastest.form,
        file_mb=made.num_bytes / 1e6,
        load_ms=_load_ms(made),
        form_cosine=made.cosine,
        **paired_figures(timed, None if fastest is None else fastest.key, made.key),
    )


def _chunk_real_time_factor(made: MadeForm, config: BenchmarkConfig) -> float:
    torch.set_num_threads(1)
    wave_BS = _noise(1, int(CHUNK_S * SAMPLE_RATE_HZ), config.seed)
    run = made.runner(1)
    run(wave_BS)  # compiles; not within the time limit
    plan = round_plan(replace(config, limit_s=min(config.limit_s, CHUNK_LIMIT_S)), 1)
    timed = time_quiet_rounds({made.key: lambda: run(wave_BS)}, plan)
    return statistics.median(timed.usual_s(made.key)) / CHUNK_S


def _load_ms(made: MadeForm) -> float | None:
    """Return the CPU time to load a file; None for the network itself, which is loaded already."""
    if not made.content:
        return None
    start_s = time.process_time()
    onnx_runner(made.content)
    return 1e3 * (time.process_time() - start_s)


def _noise(batch: int, samples: int, seed: int) -> torch.Tensor:
    # Noise is enough as input, since the time of a call does not depend on the content.
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(batch, samples, generator=generator)
