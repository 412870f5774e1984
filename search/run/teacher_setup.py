"""The teacher of a search: its file, its targets, its VEER, and the check that it fits the space.

Also here: writing the validation pairs and the teacher's scores to the run folder, for the
intervals and ties of trials.
"""

from collections.abc import Callable
from pathlib import Path

from results.journal.history import latest
from results.journal.journal import read_journal
from results.journal.run_folder import JOURNAL
from results.records.search_records import TeacherRecord
from search.config.search_config import SearchConfig
from search.provenance.data_record import TARGETS
from search.suggest.corner_configs import corner_configs
from spaces.dimensions import PRESET
from spaces.files.errors import CheckpointError, ConfigError, TrainingError
from spaces.files.locations import uri_of
from spaces.space import Space
from trainable.features.crop_bank import CropBank
from trainable.features.training_data import TrainingData
from trainable.loss.teacher_output import TeacherFacts, require_fit
from trainable.machine.cache_dir import cache_dir
from trainable.storage.mirror import fetch_place
from trainable.store.tasks import Builder, ProgressCallback, build_shards
from trainable.teachers.any_teacher import (
    facts_of_file,
    find_teacher,
    is_plugin,
    is_stored,
    plugin_facts,
    prepare_teacher,
    require_stored_targets,
    teacher_facts,
)
from trainable.teachers.targets import open_targets

_DISTILLATION = "loss.distillation"
# Settings that decide whether a teacher fits a trial.
_DECIDING = frozenset(
    {
        PRESET,
        _DISTILLATION,
        "loss.alpha",
        "loss.stages",
        "model.family",
        "model.embedding_dim",
        "training.crop_frames",
    }
)


def teacher_file(settings: SearchConfig, space: Space) -> Path | None:
    """Return the teacher's file; None for a search without a teacher.

    Raises:
        ConfigError: A trial may distil and no teacher is given, or user code is not allowed.
        CheckpointError: The file is missing.
    """
    if settings.teacher is not None:
        return find_teacher(local_teacher(settings.teacher))
    if may_distil(space):
        raise ConfigError(
            f"space {space.name} has trials that distil, which needs a teacher: give --teacher a "
            f"model file or folder, or fix {_DISTILLATION} to none"
        )
    return None


def local_teacher(teacher: Path) -> Path:
    """Return a teacher's file or folder on this machine, fetched if it is in object storage.

    Raises:
        CheckpointError: There is nothing at its URI.
        StorageError: The store cannot be reached.
    """
    uri = uri_of(teacher)
    if uri is None:
        return teacher
    copy = fetch_place(uri)
    if copy is None:
        raise CheckpointError(f"{uri}: there is no such file or folder")
    return copy


def may_distil(space: Space) -> bool:
    """Return whether a trial of this space can need a teacher."""
    return any(config.loss.distill_weight > 0 for _, config in corner_configs(space, _DECIDING))


def prepare_search_teacher(
    teacher: Path,
    data: TrainingData,
    settings: SearchConfig,
    space: Space,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Return the teacher's file for the trials; for a plug-in, its embeddings in the run folder.

    A plug-in runs only if it fits every trial of the space. Its embeddings are not replaced in a
    run that started with them.

    Raises:
        ConfigError: The teacher does not fit a trial of the space.
        VeerError: The teacher cannot be used.
    """
    if is_plugin(teacher):
        # From what the plug-in declares: running it over a corpus may take hours.
        require_teacher_fits(space, plugin_facts(teacher), data.speakers, teacher)
    journal = folder / JOURNAL
    has_begun = journal.is_file() and latest(read_journal(journal), TeacherRecord) is not None
    return prepare_teacher(
        teacher, settings.corpus, data, folder, progress=progress, may_replace=not has_begun
    )


def check_teacher_file(teacher: Path, space: Space) -> None:
    """Check all that needs no corpus, before log-mels are computed; see `check_teacher`.

    Raises:
        ConfigError: The teacher does not fit; the message has the reason and the values.
        VeerError: The file cannot be used.
    """
    if may_distil(space):
        require_teacher_fits(space, facts_of_file(teacher), None, teacher)


def check_teacher(teacher: Path, data: TrainingData, space: Space) -> None:
    """Check that the teacher fits every trial of the space.

    Raises:
        ConfigError: It does not; the message has the reason and the values that lead to it.
        VeerError: The file cannot be used.
    """
    if may_distil(space):
        require_teacher_fits(space, teacher_facts(teacher, data), data.speakers, teacher)


def prepare_targets(
    teacher: Path,
    data: TrainingData,
    make_bank: Callable[[int], CropBank | None],
    space: Space,
    *,
    progress: ProgressCallback | None = None,
    build: Builder = build_shards,
) -> dict[str, str]:
    """Compute a network teacher's targets for crops of every length in the space, unless stored.

    Args:
        teacher: Model file, graph or file of embeddings.
        data: The corpus, opened.
        make_bank: Returns the bank of crops of a length, None where the teacher runs online.
        space: The space.
        progress: Called with (utterances done, utterances in total) while targets are computed.
        build: Builds the shards.

    Returns:
        The key of every store of targets, by a name with the crop length and the copy. Empty for a
        teacher whose embeddings come from a file.

    Raises:
        VeerError: The targets cannot be stored.
    """
    keys: dict[str, str] = {}
    if is_stored(teacher):
        return keys
    if may_distil(space) and make_bank(1) is None:
        require_stored_targets(teacher)
    lengths = {
        config.training.crop_frames
        for _, config in corner_configs(space, _DECIDING)
        if config.loss.distill_weight > 0
    }
    # Sorted, so that stores are built and recorded in the same order in every run.
    for crop_frames in sorted(lengths):
        if (bank := make_bank(crop_frames)) is not None:
            opened = open_targets(
                teacher, data, bank, cache_dir=cache_dir(), progress=progress, build=build
            )
            for copy, store in enumerate(opened.table.stores):
                keys[f"{TARGETS} {crop_frames} frames, copy {copy}"] = store.plan.key
    return keys


def require_teacher_fits(
    space: Space, facts: TeacherFacts, speakers: tuple[str, ...] | None, teacher: Path
) -> None:
    """Check sizes, classifier, stages and crops of the teacher against every trial of the space.

    Raises:
        ConfigError: A trial does not fit; the message has the reason and the values.
    """
    for params, config in corner_configs(space, _DECIDING):
        try:
            require_fit(
                config.loss,
                facts,
                embedding_dim=config.model.embedding_dim,
                crop_frames=config.training.crop_frames,
                speakers=speakers,
            )
        except TrainingError as error:
            values = ", ".join(f"{name}={value}" for name, value in params.items())
            which = f" (a trial with {values})" if values else ""
            raise ConfigError(
                f"space {space.name}{which} does not fit teacher {teacher}: {error}"
            ) from error
