"""The model card of an exported trial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models import count_parameters
from models.user_code import code_roots
from results.analysis.faults import counted
from results.analysis.ranking import mean_in_words
from results.analysis.run_view import RunView
from results.export.benchmark import FRONT_END
from results.export.measured import TEACHER_NAME, trial_name
from results.journal.history import TrialHistory
from results.records.benchmark_row import BenchmarkRow, benchmark_columns
from results.records.search_records import SearchStarted
from results.tables.trials import distill_has_no_effect
from results.terminal.cells import MISSING, cell, heading
from results.terminal.quoting import escape_markdown, inline_code, veer_command
from spaces.files.yaml_file import yaml_text
from trainable.checkpoints.loading import LoadedModel
from trainable.checkpoints.user_models import needs_user_code
from trainable.config.trial_config import TrainingConfig, TrainRunConfig

# Fields of the provenance that are too long for a card; the journal has them.
_LONG_FIELDS = frozenset({"packages", "environment"})
_LOADING_CODE = """\
```python
from pathlib import Path

from safetensors.torch import load_file

from models import LogMel, build_model
from trainable.config.trial_config import read_train_config

folder = Path(".")  # this folder
model = build_model(read_train_config(folder / "config.yaml").trial.model)
model.load_state_dict(load_file(folder / "weights.safetensors"))
model.eval()
# wave: float32 (batch, samples) in [-1, 1] at 16 kHz; compare embeddings by cosine
embedding = model.embed(LogMel()(wave))
```"""

# Goes before the first line that builds the model, for a class in a file of the user.
_ALLOWING_CODE = """\
from models.user_code import allow_code

allow_code(Path({root!r}))  # the folder that {module} is in

"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """The data of a model card.

    Attributes:
        view: The run.
        trial: History of the trial, from the journal.
        loaded: Model of the trial's best epoch.
        config: Config for a full training.
    """

    view: RunView
    trial: TrialHistory
    loaded: LoadedModel
    config: TrainRunConfig


def model_card(facts: CardFacts) -> str:
    """Return the card as Markdown."""
    config = facts.config.model_dump(mode="json", exclude_none=True)["trial"]
    flag = " --allow-code" if needs_user_code(facts.config.trial.model) else ""
    run = escape_markdown(facts.view.folder.path.name)
    sections = {
        f"Speaker embeddings: trial {facts.trial.trial} of {run}": (
            f"A model of the family {facts.loaded.config.model.family} with "
            f"{count_parameters(facts.loaded.model):,} parameters. It takes log-mels of 16 kHz "
            f"speech and returns embeddings of {facts.loaded.model.embedding_dim} dimensions. "
            "Veer found it by a hyperparameter search."
        ),
        "Validation": _bullets(_metrics(facts)),
        "Training data": _bullets(_data(facts)),
        "Speed": _speed(facts),
        "Config": f"```yaml\n{yaml_text(config).rstrip()}\n```",
        "Loading": _loading(facts),
        "Training in full": f"`veer train config.yaml --out FOLDER{flag}`, on a machine "
        "that has the corpus and the teacher at the paths in config.yaml.",
        "Provenance": _bullets(_provenance(facts)),
    }
    parts = [
        f"{'#' if number == 0 else '##'} {title}\n\n{text}"
        for number, (title, text) in enumerate(sections.items())
    ]
    return "\n\n".join(parts) + "\n"


def _loading(facts: CardFacts) -> str:
    if not needs_user_code(facts.config.trial.model):
        return _LOADING_CODE
    family = facts.config.trial.model.family
    allowing = _ALLOWING_CODE.format(root=str(code_roots()[0]), module=family.partition(":")[0])
    # Code must be allowed before `build_model` imports the class.
    begin, folder, end = _LOADING_CODE.partition("folder = ")
    return (
        f"The model is a class in your own file, `{family}`. Veer's commands run its code only "
        "with `--allow-code`, and only in the folder of that file.\n\n"
        f"{begin}{allowing}{folder}{end}"
    )


def _metrics(facts: CardFacts) -> dict[str, object]:
    best, last, teacher = facts.trial.best, facts.trial.last, facts.view.teacher
    found: dict[str, object] = {
        "state of the trial": facts.trial.state,
        "weights": _weights(facts.loaded.config.training),
    }
    if best is not None and last is not None:
        found["VEER"] = (
            f"{best.veer_pct:.2f} % after epoch {best.epoch} of {len(facts.trial.epochs)}, "
            "the epoch of these weights; the epoch was chosen on the validation list itself, so "
            "this VEER is optimistic"
        )
        if repeats := facts.view.repeats.get(facts.trial.trial):
            found["VEER with other seeds"] = (
                f"{mean_in_words(repeats)} over {counted(len(repeats.veer_pct), 'repeat')} of "
                "this config, each with the median of its last five epochs; these weights are not "
                "from a repeat but from the trial itself"
            )
        found["VEER after the last epoch"] = f"{cell('veer_pct', last.veer_pct)} %"
        found["share of distillation in the loss"] = cell("x", best.distill_share)
        found["cosine to the teacher in training"] = cell("x", best.teacher_cosine)
    if distill_has_no_effect(facts.trial):
        found["warning"] = "distillation has no effect on this trial"
    if teacher is not None:
        known = teacher.veer_pct is not None
        found["VEER of the teacher"] = (
            f"{cell('veer_pct', teacher.veer_pct)} %" if known else "unknown"
        )
    return found


def _weights(training: TrainingConfig) -> str:
    if training.average_last:
        return f"the average of the ends of the last {training.average_last} epochs so far"
    if not training.ema_epochs:
        return "as they were after an epoch"
    return (
        "an average over the steps of training, with a time constant of "
        f"{training.ema_epochs:g} epochs"
    )


def _data(facts: CardFacts) -> dict[str, object]:
    corpus = facts.config.corpus
    # At each speed every speaker is a class of its own.
    num_speeds = 1 + len(corpus.speed_factors)
    return {
        "speakers": len(facts.loaded.speakers) // num_speeds,
        "training utterances": f"{_lines(corpus.train_list)} in {inline_code(corpus.train_list)}",
        "validation trial pairs": f"{_lines(corpus.val_list)} in {inline_code(corpus.val_list)}",
    }


def _lines(path: Path) -> str:
    try:
        return f"{sum(1 for line in path.read_bytes().splitlines() if line.strip()):,}"
    except OSError:  # the list may be gone by now; the card is useful without its length
        return "unknown number (the list no longer exists)"


def _speed(facts: CardFacts) -> str:
    benchmark = facts.view.benchmark
    names = (TEACHER_NAME, trial_name(facts.trial.trial), FRONT_END)
    rows = [row for row in benchmark.rows if row.model in names] if benchmark else []
    if benchmark is None or names[1] not in {row.model for row in rows}:
        command = inline_code(veer_command("benchmark", facts.view.folder.path))
        return f"Not measured; run {command} and export again."
    machine = benchmark.hardware.items()
    hardware = escape_markdown(", ".join(f"{name} {value}" for name, value in machine))
    return (
        "Times are from a waveform of 2 s to the embedding, with the front end, which is also "
        "measured by itself. MMACs are for one utterance, without the front end.\n\n"
        f"{_markdown(rows)}\n\nHardware: {hardware}."
    )


def _markdown(rows: Sequence[BenchmarkRow]) -> str:
    columns = benchmark_columns(rows)
    headings = " | ".join(heading(name) for name in columns)
    rule = "|".join(["---", *["---:"] * (len(columns) - 1)])
    lines = [f"| {headings} |", f"|{rule}|"]
    for row in rows:
        cells = (escape_markdown(cell(name, getattr(row, name))) for name in columns)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _provenance(facts: CardFacts) -> dict[str, object]:
    started = facts.view.latest(SearchStarted)
    found = {
        "run": facts.view.folder.path.absolute(),
        "trial": f"{facts.trial.trial}, config hash {facts.trial.started.config_hash}",
        "seed": facts.loaded.config.seed,
        "model file": facts.loaded.file.absolute(),
        "teacher": facts.config.teacher or "none",
        "teacher's SHA-256": facts.config.teacher_sha256 or MISSING,
        **{
            name: value
            for name, value in ({} if started is None else started.provenance).items()
            if name not in _LONG_FIELDS
        },
    }
    return {name: escape_markdown(value) for name, value in found.items()}


def _bullets(facts: Mapping[str, object]) -> str:
    """Return one list item per fact; values must be Markdown already."""
    return "\n".join(f"- {escape_markdown(name)}: {value}" for name, value in facts.items())
