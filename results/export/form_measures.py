"""What a form costs and delivers beside its speed: VEER on the validation list, peak memory."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from results.export.forms import MadeForm
from results.records.benchmark_row import BenchmarkRow
from spaces.files.errors import VeerError
from trainable.corpus.corpus import CorpusConfig, read_trial_list
from trainable.deployment.memory import network_peak_mb, onnx_peak_mb
from trainable.embedding.compiled_embedder import CompiledEmbedder
from trainable.embedding.embedder import CropPlan, Embedder, NetworkEmbedder, embed_utterances
from trainable.embedding.graph_embedder import GraphEmbedder
from trainable.lists.pair_index import PairIndex
from trainable.verification.evaluation import USUAL_FRAMES
from trainable.verification.final import FinalEER, final_eer

_Progress = Callable[[int, int], None]
Values = dict[str, float | None]


def measured_forms(
    made: Sequence[MadeForm], corpus: CorpusConfig | None, progress: _Progress
) -> tuple[dict[str, Values], list[str]]:
    """Measure VEER and peak memory of forms.

    Args:
        made: The forms.
        corpus: The corpus with the validation list; None where none is recorded.
        progress: Called with (utterances embedded by all forms, utterances in total).

    Returns:
        Columns of `BenchmarkRow` by the form's key, and a line for every value that is missing.
    """
    values: dict[str, Values] = {each.key: {} for each in made}
    lines: list[str] = []
    for each in made:
        try:
            values[each.key]["peak_mb"] = _peak_mb(each)
        except VeerError as error:
            lines.append(f"{each.key}: no peak memory: {error}")
    if corpus is None:
        lines.append("no VEER of the forms: the run has no record of its corpus")
        return values, lines
    for number, each in enumerate(made):

        def counted(done: int, total: int, before: int = number) -> None:
            progress(before * total + done, len(made) * total)

        try:
            eer = form_eer(each, corpus, counted)
        except VeerError as error:
            lines.append(f"{each.key}: no VEER: {error}")
            continue
        if eer.interval is None:
            lines.append(f"{each.key}: {eer.in_words}")
        values[each.key] |= _veer_values(eer)
    return values, lines


def with_values(rows: Sequence[BenchmarkRow], values: dict[str, Values]) -> list[BenchmarkRow]:
    """Return rows with the values of their forms."""
    return [row.model_copy(update=values[f"{row.model} {row.form}"]) for row in rows]


def form_eer(made: MadeForm, corpus: CorpusConfig, progress: _Progress | None = None) -> FinalEER:
    """Return the EER of a form, as it is deployed, on a corpus's validation list.

    Each utterance is embedded in as many and as long crops as in the evaluations of a search. A
    graph, or a compiled network, takes crops of the waveform, the network crops of log-mels.

    Raises:
        CorpusError: The list or an audio file cannot be read.
        TrainingError: An embedding is NaN or infinite.
    """
    rules = corpus.list_rules
    pairs = read_trial_list(corpus.val_list, corpus.val_dir, rules)
    index = PairIndex.from_pairs(pairs)
    plan = CropPlan(
        num_crops=made.network.config.training.eval_crops, num_frames=USUAL_FRAMES
    )
    found = embed_utterances(_embedder(made), corpus.val_dir, index.paths, plan, progress)
    return final_eer(pairs, found.cosines(index.a, index.b), rules.speaker)


def _embedder(made: MadeForm) -> Embedder:
    if made.content:
        return GraphEmbedder(Path(made.key), made.content)
    if made.run is not None:
        return CompiledEmbedder(made.network, made.run)
    return NetworkEmbedder(made.network.model, torch.device("cpu"))


def _veer_values(eer: FinalEER) -> Values:
    ends = eer.interval
    return {
        "form_veer_pct": eer.eer_pct,
        "form_veer_low_pct": None if ends is None else ends.low_pct,
        "form_veer_high_pct": None if ends is None else ends.high_pct,
    }


def _peak_mb(made: MadeForm) -> float:
    if made.content:
        return onnx_peak_mb(made.content)
    return network_peak_mb(made.network.file, made.form if made.run is not None else None)
