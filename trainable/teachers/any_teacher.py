"""Teachers opened by their path: model file, run folder, embeddings, graph, YAML of a plug-in."""

from collections.abc import Callable
from pathlib import Path

from models.user_code import require_permission
from spaces.files.errors import CheckpointError, ConfigError, RunError
from spaces.files.yaml_file import write_yaml
from trainable.checkpoints.folder import resolve_model_file
from trainable.corpus.corpus import CorpusConfig
from trainable.features.crop_bank import CropBank
from trainable.features.training_data import TrainingData
from trainable.foreign_models.graph import open_graph
from trainable.foreign_models.graph_config import is_graph, read_graph
from trainable.foreign_models.plugin import read_plugin
from trainable.loss.teacher_output import AnyTeacher, TeacherFacts
from trainable.store.tasks import Builder, ProgressCallback, build_shards
from trainable.teachers.embedding_file import stored_shape
from trainable.teachers.network import load_teacher
from trainable.teachers.plugin_bank import build_bank
from trainable.teachers.stored import load_stored_teacher, require_originals
from trainable.teachers.targets import open_targets

# The kind of a teacher follows from the file's extension; others are model files or run folders.
EMBEDDINGS = ".parquet"
PLUGIN = (".yaml", ".yml")
BANK_FILE = "teacher.parquet"
# What a graph was found to be, in the run folder.
GRAPH_FILE = "teacher.yaml"


def is_stored(teacher: Path) -> bool:
    """Return whether the path is a file of embeddings, which has no network."""
    return teacher.suffix == EMBEDDINGS


def is_plugin(teacher: Path) -> bool:
    """Return whether the path is the YAML file of a plug-in."""
    return teacher.suffix in PLUGIN and not is_graph(teacher)


def is_network(teacher: Path) -> bool:
    """Return whether the path is a network of Veer's: no plug-in, graph or embeddings."""
    return not (is_stored(teacher) or is_plugin(teacher) or is_graph(teacher))


def find_teacher(teacher: Path) -> Path:
    """Return the path itself, or the best epoch's file if it is a run folder. No code is run.

    Raises:
        CheckpointError: There is no such file.
        ConfigError: A YAML breaks a rule, or user code is not allowed.
    """
    if is_graph(teacher):
        read_graph(teacher)
        return teacher
    if is_plugin(teacher):
        # Refused here, before the plug-in's process is started.
        require_permission(f"teacher {teacher}")
        read_plugin(teacher)
        return teacher
    if is_stored(teacher):
        if not teacher.is_file():
            raise CheckpointError(f"{teacher}: there is no such file of embeddings")
        return teacher
    return resolve_model_file(teacher)


def plugin_facts(plugin: Path) -> TeacherFacts:
    """Return what is known of a plug-in teacher before it is run.

    Raises:
        ConfigError: Its YAML breaks a rule.
    """
    # Only the YAML is read: the embedding's size would need the model, which is user code.
    crop_frames = read_plugin(plugin).crop_frames
    return TeacherFacts(
        embedding_dim=None, centres=None, has_stages=False, crop_frames=crop_frames
    )


def graph_facts(graph: Path) -> TeacherFacts:
    """Return what is known of a graph; it is run once, on noise.

    Raises:
        VeerError: See `open_graph`.
    """
    facts = open_graph(graph).facts
    return TeacherFacts(
        embedding_dim=facts.embedding_dim,
        centres=None,
        has_stages=False,
        crop_frames=facts.crop_frames,
        is_looked_up=True,
    )


def facts_of_file(teacher: Path) -> TeacherFacts:
    """Return what is known of a teacher before the corpus is read.

    Args:
        teacher: As `find_teacher` returns it.

    Raises:
        VeerError: It is not a teacher's file, or damaged.
    """
    if is_plugin(teacher):
        return plugin_facts(teacher)
    if is_graph(teacher):
        return graph_facts(teacher)
    if is_stored(teacher):
        embedding_dim, crop_frames = stored_shape(teacher)
        return TeacherFacts(
            embedding_dim=embedding_dim,
            centres=None,
            has_stages=False,
            crop_frames=crop_frames,
            is_looked_up=True,
        )
    return load_teacher(teacher).facts


def prepare_teacher(
    teacher: Path,
    corpus: CorpusConfig,
    data: TrainingData,
    folder: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    may_replace: bool = True,
) -> Path:
    """Return the file for `open_teacher`; of a plug-in, of its embeddings; of a graph, its facts.

    The plug-in's embeddings are computed if the file does not exist or is out of date.

    Args:
        teacher: As the user named it.
        corpus: The corpus; it has the folders of the audio.
        data: The corpus, opened.
        folder: The run's folder; a plug-in's embeddings go to its `teacher.parquet`, what a graph
            was found to be to its `teacher.yaml`.
        progress: Called with (utterances done, utterances in total) while a plug-in embeds.
        may_replace: Whether what that file has of another teacher may be replaced.

    Raises:
        VeerError: The teacher cannot be used; see `find_teacher` and `build_bank`.
    """
    file = find_teacher(teacher)
    if is_graph(file):
        return _with_facts(file, folder.absolute() / GRAPH_FILE, may_replace=may_replace)
    if not is_plugin(file):
        return file
    require_originals(file, data)  # before the plug-in embeds the corpus
    # Absolute: a Ray worker may have another working folder.
    bank = folder.absolute() / BANK_FILE
    build_bank(file, corpus, data, bank, progress=progress, may_replace=may_replace)
    return bank


def open_teacher(
    file: Path,
    data: TrainingData,
    bank: CropBank | None,
    *,
    cache_dir: Path,
    progress: ProgressCallback | None = None,
    build: Builder = build_shards,
) -> AnyTeacher:
    """Open the teacher in a model file, a graph or a file of embeddings.

    Args:
        file: As `prepare_teacher` returns it.
        data: The corpus, opened.
        bank: The crops for which a network's targets are computed once and stored. None runs the
            network on every training crop; a graph needs them. A file of embeddings has its own.
        cache_dir: Folder of all stores, for the targets.
        progress: Called with (utterances done, utterances in total) while targets are computed.
        build: The function that builds the shards of the targets.

    Raises:
        CheckpointError: The model file is missing or damaged.
        ConfigError: A graph is to run online.
        TrainingError: The file of embeddings breaks a rule.
        CorpusError: The teacher's output cannot be stored, since it is not finite in float16.
        DiskFullError: There is no room for the cache.
        StoreError: The cache cannot be written.
    """
    if is_stored(file):
        return load_stored_teacher(file, data)
    if bank is None:
        require_stored_targets(file)
        return load_teacher(file)
    return open_targets(file, data, bank, cache_dir=cache_dir, progress=progress, build=build)


def teacher_facts(file: Path, data: TrainingData) -> TeacherFacts:
    """Return what a teacher's file can teach; no targets are computed."""
    if is_graph(file):
        return graph_facts(file)
    return (load_stored_teacher(file, data) if is_stored(file) else load_teacher(file)).facts


def require_stored_targets(teacher: Path) -> None:
    """Refuse a graph whose targets are not stored.

    Raises:
        ConfigError: The teacher is a graph.
    """
    if is_graph(teacher):
        raise ConfigError(
            f"targets.mode must be stored for teacher {teacher}, got online: a graph runs in a "
            "process of its own, too far from a training step"
        )


def _with_facts(graph: Path, file: Path, *, may_replace: bool) -> Path:
    """Write a graph's settings and what it was found to be, unless they are there."""
    opened = open_graph(graph)
    if is_graph(file):
        known = read_graph(file).found
        if known == opened.facts:
            return file
        if known is not None and not may_replace:
            raise RunError(
                f"{graph} is not the teacher that this run began with (SHA-256 "
                f"{known.sha256[:12]}, now {opened.facts.sha256[:12]}); restore it, or begin "
                "another run"
            )
    found = opened.config.model_copy(update={"found": opened.facts})
    file.parent.mkdir(parents=True, exist_ok=True)
    write_yaml(file, found.model_dump(mode="json", exclude_none=True))
    return file
