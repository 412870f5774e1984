"""`veer verify`: two files compared, or a file with an enrolled speaker; `veer enroll`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.console import computing_device, print_line, progress_bar
from search.cli.options import (
    AllowCodeOption,
    CalibrationOption,
    DeviceOption,
    ModelOption,
    permit,
)
from spaces.files.errors import ConfigError

if TYPE_CHECKING:
    from search.use.decision import ComparedVoice
    from search.use.model_in_use import ModelInUse
    from trainable.embedding.embedder import CropPlan
    from trainable.embedding.enrolment import EnrolledSpeakers

StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store", help="File of the enrolled speakers.", show_default="enrolled.json"
    ),
]


def verify(
    first: Annotated[str, typer.Argument(help="An audio file, or the name of a speaker.")],
    second: Annotated[Path, typer.Argument(help="An audio file.")],
    model: ModelOption = None,
    false_accepts: Annotated[
        str,
        typer.Option(
            help="The threshold: for this rate of false accepts, percent, or eer for equal errors."
        ),
    ] = "1",
    calibration: CalibrationOption = None,
    as_norm: Annotated[
        int | None,
        typer.Option(
            "--as-norm",
            metavar="N",
            help="Require a threshold of scores normalised by the N nearest speakers of a cohort "
            "(veer calibrate --as-norm N); such a threshold normalises without the option too.",
            show_default=False,
        ),
    ] = None,
    store: StoreOption = None,
    device: DeviceOption = "cpu",
    code: AllowCodeOption = False,
) -> None:
    """Compare two voices: score, decision, and the error rates of its threshold.

    FIRST is a file, or a speaker that `veer enroll` stored, whose model is then the default. Audio
    has any rate and number of channels. The threshold is that of `veer calibrate`, or follows from
    the validation scores that a run keeps. See docs/scores.md.
    """
    from search.use.decision import decide, decision_lines, pair_score, remarks, require_as_norm
    from search.use.model_in_use import find_calibration, find_plan, open_model

    permit(code)
    wanted_pct = _wanted(false_accepts)
    is_file = Path(first).is_file()
    if is_file and model is None:
        raise ConfigError("two files are compared by a model: give --model")
    path = model or _enrolled_with(first, store)
    opened = open_model(path, computing_device(device))
    found, origin = find_calibration(opened, calibration)
    if as_norm is not None:
        require_as_norm(found, as_norm, origin, path)
    plan = find_plan(found)
    side = (
        _file(opened, Path(first), plan) if is_file else _speaker(opened, first, store, plan)
    )
    voices = (side, _file(opened, second, plan))
    if found is None:
        print_line(f"score {pair_score(voices):.4f} (cosine of mean embeddings)")
        print_line(
            f"no decision: {origin}; make a threshold: veer calibrate {path} --pairs LIST --root "
            "FOLDER"
        )
        return
    decision = decide(voices, found, wanted_pct)
    for line in (*decision_lines(decision, found, origin), *remarks(voices)):
        print_line(line)


def enroll(
    name: Annotated[str, typer.Argument(help="Name of the speaker.")],
    files: Annotated[list[Path], typer.Argument(help="Audio files of the speaker.")],
    model: ModelOption = None,
    store: StoreOption = None,
    calibration: CalibrationOption = None,
    device: DeviceOption = "cpu",
    code: AllowCodeOption = False,
) -> None:
    """Store the voice of a speaker, from one or several files, for `veer verify NAME FILE`.

    A speaker of the same name is replaced. All speakers of a store have one model, which is the
    default from the second on.
    """
    from results.analysis.faults import counted
    from search.use.model_in_use import open_model
    from trainable.embedding.enrolment import (
        EnrolledSpeaker,
        enrolled_embedding,
        read_enrolled,
        write_enrolled,
    )

    permit(code)
    file = _store(store)
    known = read_enrolled(file) if file.is_file() else None
    if model is None and known is None:
        raise ConfigError(f"{file} does not exist yet: give the model of its speakers by --model")
    opened = open_model(model or _model_of(file), computing_device(device))
    if known is None:
        known = _new_store(opened, calibration)
    known.require_model(opened.embedder.weights_sha256, file)
    voices: list[ComparedVoice] = []
    with progress_bar("files") as progress:
        for number, each in enumerate(files, 1):
            voices.append(_file(opened, each, known.plan))
            progress(number, len(files))
    speaker = EnrolledSpeaker(
        num_files=len(voices),
        duration_s=sum(voice.duration_s for voice in voices),
        embedding=tuple(enrolled_embedding([voice.mean_D for voice in voices]).tolist()),
    )
    is_new = name not in known.speakers
    speakers = known.speakers | {name: speaker}
    write_enrolled(file, known.model_copy(update={"speakers": speakers}))
    print_line(
        f"{'enrolled' if is_new else 'replaced'} {name}: {counted(len(voices), 'file')}, "
        f"{speaker.duration_s:.1f} s; {file} has {counted(len(speakers), 'speaker')}"
    )


def _wanted(text: str) -> float | None:
    if text == "eer":
        return None
    try:
        wanted_pct = float(text)
    except ValueError:
        wanted_pct = -1.0
    if not 0 < wanted_pct < 100:
        raise ConfigError(f"--false-accepts must be a percentage or eer, got {text!r}")
    return wanted_pct


def _store(store: Path | None) -> Path:
    from trainable.embedding.enrolment import DEFAULT_STORE

    return store or DEFAULT_STORE


def _new_store(model: ModelInUse, calibration: Path | None) -> EnrolledSpeakers:
    """Return a store without speakers, for the crops that the model's calibration is for."""
    from search.use.model_in_use import find_calibration, find_plan
    from trainable.embedding.enrolment import EnrolledSpeakers

    found, _ = find_calibration(model, calibration)
    plan = find_plan(found)
    return EnrolledSpeakers(
        model=str(model.path.absolute()),
        weights_sha256=model.embedder.weights_sha256,
        num_crops=plan.num_crops,
        num_frames=plan.num_frames,
    )


def _model_of(store: Path) -> Path:
    from trainable.embedding.enrolment import read_enrolled

    return Path(read_enrolled(store).model)


def _enrolled_with(name: str, store: Path | None) -> Path:
    """Return the model of a store; a file that is missing is no name."""
    file = _store(store)
    if not file.is_file() and ("/" in name or Path(name).suffix):
        raise ConfigError(f"there is no file {name}, and no speaker is enrolled in {file}")
    return _model_of(file)


def _file(model: ModelInUse, file: Path, plan: CropPlan) -> ComparedVoice:
    from search.use.decision import ComparedVoice

    return ComparedVoice.of_file(model, file, plan)


def _speaker(model: ModelInUse, name: str, store: Path | None, plan: CropPlan) -> ComparedVoice:
    from search.use.decision import ComparedVoice
    from trainable.embedding.enrolment import read_enrolled

    file = _store(store)
    known = read_enrolled(file)
    known.require_model(model.embedder.weights_sha256, file)
    speaker = known.speaker(name, file)
    if known.plan != plan:
        raise ConfigError(
            f"{file}: its speakers were embedded from {known.num_crops} crops of "
            f"{known.num_frames} frames, and the calibration is for {plan.num_crops} of "
            f"{plan.num_frames}: enrol again"
        )
    return ComparedVoice.of_speaker(name, speaker)
