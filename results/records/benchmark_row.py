"""The rows of a benchmark of models on a CPU."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

from results.records.record_values import RecordValue, Rule, Whole
from trainable.report.column import Column

# Forms beside the network itself: compiled by `torch.compile`, or as a file of ONNX Runtime.
CompiledForm = Literal["torch-compile", "torch-compile-bf16"]
OnnxForm = Literal["onnx", "onnx-int8", "onnx-int8-static"]
TimedForm = Literal[CompiledForm, OnnxForm]
COMPILED_FORMS: tuple[CompiledForm, ...] = get_args(CompiledForm)
TIMED_FORMS: tuple[TimedForm, ...] = get_args(TimedForm)
TORCH = "torch"


class BenchmarkRow(RecordValue):
    """Results of one model in one setting."""

    model: Annotated[str, Column(meaning="Name of the model.")]
    num_params: Annotated[
        Whole, Column(meaning="Parameters of the network; 0 for the front end.")
    ]
    macs: Annotated[
        Whole,
        Column(
            heading="MMACs",
            meaning="Multiply-accumulates for one utterance, without the front end; see "
            "`trainable.cost.macs`. 0 for the front end.",
        ),
    ]
    batch_size: Annotated[Whole, Column(heading="batch", meaning="Utterances per call.")]
    num_threads: Annotated[Whole, Column(heading="threads", meaning="Threads per call.")]
    latency_median_ms: Annotated[
        float,
        Column(unit="ms", heading="median\nms", decimals=2, meaning="Median time of a call."),
    ]
    latency_p95_ms: Annotated[
        float,
        Column(
            unit="ms",
            heading="p95\nms",
            decimals=2,
            meaning="95th percentile of the times of a call.",
        ),
    ]
    samples_per_s: Annotated[
        float, Column(unit="1/s", meaning="Utterances per second, from the median time.")
    ]
    real_time_factor: Annotated[
        float,
        Column(
            heading="real-time\nfactor",
            decimals=4,
            meaning="Median time divided by the duration of the audio; below 1 is faster than "
            "real time.",
        ),
    ]
    speed_ratio: Annotated[
        float | None,
        Column(
            heading="speed /\nteacher",
            decimals=2,
            meaning="The teacher's time divided by this model's time in the same round, median "
            "over the rounds in which no call waited for a CPU; above 1 is faster than the "
            "teacher. Null without a teacher, or where the machine was too busy.",
        ),
    ] = None
    speed_ratio_low: Annotated[
        float | None,
        Column(heading="low", decimals=2, meaning="Lower end of its 95 % interval."),
    ] = None
    speed_ratio_high: Annotated[
        float | None, Column(heading="high", decimals=2, meaning="Its upper end.")
    ] = None
    num_quiet: Annotated[
        Whole | None,
        Column(heading="quiet", meaning="Timed calls that did not wait for a CPU."),
    ] = None
    num_timed: Annotated[Whole | None, Column(heading="timed", meaning="Timed calls.")] = None
    form: Annotated[
        str | None,
        Column(
            meaning="Form of the model: torch, torch-compile, torch-compile-bf16, or one of "
            "`veer export --form`."
        ),
    ] = None
    teacher_form: Annotated[
        str | None,
        Column(
            heading="teacher's\nform",
            meaning="With forms: the teacher's form that is the fastest in this setting, which "
            "`speed_ratio` compares with.",
        ),
    ] = None
    file_mb: Annotated[
        float | None,
        Column(
            unit="MB", heading="MB", decimals=2,
            meaning="Size of its file; of a network in PyTorch, of its tensors.",
        ),
    ] = None
    load_ms: Annotated[
        float | None,
        Column(unit="ms", heading="load\nms", decimals=0, meaning="Time to load its file."),
    ] = None
    chunk_real_time_factor: Annotated[
        float | None,
        Column(
            heading="RTF\n5 s", decimals=4,
            meaning="Real-time factor by WeSpeaker's protocol: chunks of 5 s, one at a time, on "
            "one thread.",
        ),
    ] = None
    form_cosine: Annotated[
        float | None,
        Column(
            heading="cosine", decimals=4,
            meaning="Lowest cosine of its embeddings to the network's.",
        ),
    ] = None
    form_veer_pct: Annotated[
        float | None,
        Column(
            unit="%", heading="VEER\n%", decimals=2,
            meaning="VEER of the form as it is deployed, on the validation list.",
        ),
    ] = None
    form_veer_low_pct: Annotated[
        float | None,
        Column(
            unit="%", heading="low", decimals=2,
            meaning="Lower end of its 95 % interval, by bootstrap over speakers.",
        ),
    ] = None
    form_veer_high_pct: Annotated[
        float | None, Column(unit="%", heading="high", decimals=2, meaning="Its upper end.")
    ] = None
    enrolled_veer_pct: Annotated[
        float | None,
        Column(
            unit="%", heading="VEER %,\nteacher\nenrols", decimals=2,
            meaning="VEER against the teacher's enrolments: the first utterance of each "
            "validation pair is embedded by the teacher, the second by the student. Null for a "
            "student that is not in the teacher's space.",
        ),
    ] = None
    enrolled_veer_low_pct: Annotated[
        float | None,
        Column(
            unit="%", heading="low", decimals=2,
            meaning="Lower end of its 95 % interval, by bootstrap over speakers.",
        ),
    ] = None
    enrolled_veer_high_pct: Annotated[
        float | None, Column(unit="%", heading="high", decimals=2, meaning="Its upper end.")
    ] = None
    peak_mb: Annotated[
        float | None,
        Column(
            unit="MB", heading="peak\nMB", decimals=0,
            meaning="Peak memory of a fresh process that loads the file and embeds one utterance "
            "of 2 s: with ONNX Runtime and NumPy alone, or with PyTorch and Veer.",
        ),
    ] = None

    def as_dict(self) -> dict[str, Any]:
        """Return the row as a dict of plain values, by column name."""
        return self.model_dump()

    def recorded(self) -> dict[str, Any]:
        """Return what was measured, by column name."""
        return self.model_dump(exclude_unset=True)


ROW_NUMBERS = sorted(
    name for name, field in BenchmarkRow.model_fields.items()
    if field.is_required() and name != "model"
)  # fmt: skip
BENCHMARK_COLUMNS = tuple(BenchmarkRow.model_fields)
BenchmarkRows = Annotated[
    list[BenchmarkRow], Rule(f"a list of rows, each with model, {', '.join(ROW_NUMBERS)}")
]


def benchmark_columns(rows: Sequence[BenchmarkRow]) -> list[str]:
    """Return the columns that a row of a benchmark has a value in."""
    return [
        name for name in BENCHMARK_COLUMNS if any(getattr(row, name) is not None for row in rows)
    ]
