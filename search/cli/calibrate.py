"""`veer calibrate`: what the scores of a model mean, measured on a list and stored with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.chosen_lists import unlocked_list
from search.cli.cohort import (
    AsNormOption,
    CohortOption,
    CohortRootOption,
    require_cohort_options,
    stored_cohort,
)
from search.cli.console import computing_device, console, progress_bar, table_of
from search.cli.options import AllowCodeOption, DeviceOption, QualityOption, permit
from spaces.files.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from search.review.trial_list import TrialList
    from search.use.model_in_use import ModelInUse
    from trainable.calibration.calibration import Calibration
    from trainable.calibration.operating_point import OperatingPoint, Range
    from trainable.calibration.quality import Quality
    from trainable.embedding.embedder import CropPlan
    from trainable.verification.evaluation import PairScores


def calibrate(
    model: Annotated[
        Path,
        typer.Argument(help="Exported folder, run folder (its best model), model or .onnx file."),
    ],
    trials: Annotated[
        Path,
        typer.Option("--pairs", help="Trial list with lines '1|0 PATH_A PATH_B'."),
    ],
    root: Annotated[Path, typer.Option(help="Folder that the list's paths are relative to.")],
    corpus: Annotated[
        Path | None,
        typer.Option(help="corpus.yaml whose `labels` and `speaker` say how the list is read."),
    ] = None,
    trial: Annotated[
        int | None, typer.Option(min=0, help="Number of a trial of the search, not its best.")
    ] = None,
    false_accepts: Annotated[
        str, typer.Option(help="Rates of false accepts to find thresholds for, percent.")
    ] = "0.1,1,5",
    quality: QualityOption = None,
    as_norm: AsNormOption = None,
    cohort: CohortOption = None,
    cohort_root: CohortRootOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write; by default calibration.json in the model's folder."),
    ] = None,
    device: DeviceOption = "auto",
    code: AllowCodeOption = False,
) -> None:
    """Find what a model's scores mean: log-likelihood ratios, thresholds and their error rates.

    The list should be of speakers that the model was neither trained nor chosen on. The result is
    stored with the model, and used by `veer verify`. See docs/scores.md.
    """
    from search.use.calibrating import calibrated
    from search.use.model_in_use import open_model
    from search.use.system import ModelSystem
    from spaces.files.disk import require_writable
    from trainable.calibration.calibration import write_calibration
    from trainable.embedding.embedder import DEFAULT_PLAN

    permit(code)
    wanted_pct, measures = rates_of(false_accepts), qualities_of(quality)
    require_cohort_options(as_norm, cohort, cohort_root)
    opened = open_model(model, computing_device(device), trial)
    file = out or opened.calibration_file
    require_writable(file.parent)
    chosen = unlocked_list(opened.source, trials, root, corpus)
    norm = None
    if as_norm is not None:
        system = ModelSystem(opened, DEFAULT_PLAN)
        norm = stored_cohort(as_norm, (cohort, cohort_root), system)
    with progress_bar("utterances") as progress:
        found = calibrated(opened, chosen, wanted_pct, measures, norm, progress)
    write_calibration(file, found)
    console.print(points_table(found.points))
    for line in calibration_lines(found):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"stored in {file}", highlight=False, markup=False, soft_wrap=True)


def print_stored_thresholds(
    model: ModelInUse, plan: CropPlan, trials: TrialList, scores: PairScores
) -> None:
    """Print the error rates on a list at the thresholds that `veer calibrate` stored.

    Nothing is printed where there are none, or they are of other crops or of this list.
    """
    from search.use.model_in_use import find_plan
    from search.use.more_measures import list_speakers
    from trainable.calibration.calibration import read_calibration
    from trainable.calibration.operating_point import points_elsewhere
    from trainable.verification.bootstrap import SpeakerBootstrap

    if not model.calibration_file.is_file():
        return
    try:
        stored = read_calibration(model.calibration_file, model.embedder.weights_sha256)
    except ConfigError as error:  # of an earlier epoch: the evaluation does not need it
        console.print(f"left out: {error}", highlight=False, markup=False, soft_wrap=True)
        return
    if stored.list_sha256 == trials.sha256 or find_plan(stored) != plan:
        return
    index = scores.index
    columns_PQ = stored.columns(scores.utterances, (index.a, index.b))
    pairs = list_speakers(trials, index)
    bootstrap = None if pairs is None else SpeakerBootstrap(pairs)
    points = points_elsewhere(
        stored.points, stored.decides_by(columns_PQ), index.is_target, bootstrap
    )
    how = "" if stored.cohort is None else f", of scores by {stored.cohort.in_words}"
    line = f"at the thresholds of {model.calibration_file}, found on {stored.basis}{how}:"
    console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(points_table(points))


def rates_of(text: str) -> tuple[float, ...]:
    """Return wanted rates of false accepts, percent.

    Raises:
        ConfigError: One is no number between 0 and 100.
    """
    try:
        rates = tuple(float(each) for each in text.split(","))
    except ValueError:
        rates = (0.0,)
    if not all(0 < each < 100 for each in rates):
        raise ConfigError(
            f"--false-accepts must be percentages between 0 and 100, with commas, got {text!r}"
        )
    return tuple(sorted(set(rates)))


def qualities_of(text: str | None) -> tuple[Quality, ...]:
    """Return the quality measures of an option.

    Raises:
        ConfigError: One does not exist.
    """
    from spaces.files.complaints import did_you_mean
    from trainable.calibration.quality import QUALITIES

    names = [] if text is None else text.split(",")
    for name in names:
        if name not in QUALITIES:
            raise ConfigError(
                f"--quality must name {' or '.join(QUALITIES)}, got {name!r}"
                f"{did_you_mean(name, QUALITIES)}"
            )
    return tuple(each for each in QUALITIES if each in names)


def points_table(points: Sequence[OperatingPoint]) -> RenderableType:
    """Return the table of the thresholds and their error rates."""
    rows = [
        (
            point.name,
            f"{point.threshold:.4f}",
            _in_words(point.threshold_range, 4),
            f"{point.false_accept_pct:.2f}",
            _in_words(point.false_accept_range, 2),
            f"{point.miss_pct:.2f}",
            _in_words(point.miss_range, 2),
        )
        for point in points
    ]
    headings = (
        "false accepts", "threshold", "(95 %)", "false\naccepts %", "(95 %)", "misses %", "(95 %)",
    )  # fmt: skip
    return table_of(headings, rows)


def calibration_lines(calibration: Calibration) -> list[str]:
    """Return what a calibration was fitted to and how well, a line each."""
    number = calibration.num_speakers
    known = "unknown or few speakers, so no intervals"
    speakers = known if number is None else f"{number} speakers"
    measures = "".join(f", {each}" for each in calibration.qualities)
    weights = ", ".join(f"{each:.4g}" for each in calibration.weights)
    norm = calibration.cohort
    return [
        *([] if norm is None else [f"scores by {norm.in_words} of {norm.basis}"]),
        f"fitted to {calibration.basis}: {calibration.num_target_pairs:,} pairs of one speaker, "
        f"{calibration.num_nontarget_pairs:,} of two, {speakers}",
        f"log-likelihood ratio = {weights} x (score{measures}) {calibration.offset:+.4g}",
        f"EER {calibration.eer_pct:.2f} %, Cllr {calibration.cllr:.4f}, min Cllr "
        f"{calibration.min_cllr:.4f} bits, on the same list: another shows what they are worth",
    ]


def _in_words(found: Range | None, digits: int) -> str:
    return "-" if found is None else f"{found.low:.{digits}f} to {found.high:.{digits}f}"
