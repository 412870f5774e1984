"""A run with trials that can be computed again."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.search_records import CorpusRecord, SearchStarted, TeacherRecord
from results.records.trial_records import TrialEnded
from search.config.reading import read_search_config
from search.config.search_config import SearchConfig
from search.provenance.data_record import corpus_facts
from search.provenance.provenance import provenance
from spaces.files.digest import file_sha256
from spaces.files.yaml_file import write_yaml
from tests.worlds.recorded_trials import NUM_EPOCHS, STUDENT, begin, sit, task
from tests.worlds.tiny_world import small_search
from trainable.checkpoints.folder import resolve_model_file
from trainable.config.trial_config import TrialConfig
from trainable.features.training_data import load_training_data
from trainable.machine.cache_dir import cache_dir


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def settings(make_settings: Callable[..., SearchConfig]) -> SearchConfig:
    return make_settings()


@pytest.fixture
def run(settings: SearchConfig, recorded_run: Path, tmp_path: Path) -> RunFolder:
    """A run as a search leaves it: trial 0 in one go, 1 moved after two epochs, 2 failed at once.

    Its settings are `settings`.
    """
    del settings  # wanted for what it sets: the folder of the cache
    shutil.copytree(recorded_run, tmp_path / "run")
    return RunFolder(tmp_path / "run")


@pytest.fixture(scope="session")
def recorded_run(tiny_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trials are stepped as Ray steps them, without Ray."""
    folder = tmp_path_factory.mktemp("recorded")
    write_yaml(folder / "settings.yaml", small_search(tiny_world))
    settings = read_search_config(folder / "settings.yaml", {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VEER_CACHE", str(tiny_world / "cache"))
        write_recorded_run(settings, folder / "run")
    return folder / "run"


def write_recorded_run(settings: SearchConfig, folder: Path) -> None:
    teacher = resolve_model_file(settings.teacher)
    data = load_training_data(settings.corpus, cache_dir=cache_dir())
    with Journal(folder / "journal.jsonl") as journal:
        resolved = settings.model_dump(mode="json") | {"space": "space.yaml"}
        journal.append(SearchStarted(settings=resolved, provenance=provenance()))
        journal.append(CorpusRecord(**corpus_facts(settings.corpus, data)))
        journal.append(
            TeacherRecord(path=teacher, veer_pct=7.5, num_params=1, sha256=file_sha256(teacher))
        )
        for trial, sittings in ((0, (NUM_EPOCHS,)), (1, (2, NUM_EPOCHS - 2))):
            config = TrialConfig.model_validate(STUDENT | {"seed": trial})
            begin(journal, trial, config)
            for num_epochs in sittings:
                sit(journal, task(settings, teacher, folder, trial, config), num_epochs)
            journal.append(TrialEnded(trial=trial, state="complete", reason=None))
        begin(journal, 2, TrialConfig.model_validate(STUDENT | {"seed": 2}))
        journal.append(TrialEnded(trial=2, state="failed", reason="no such device"))
