"""The files for voxceleb_trainer: the plug-in has the EER that Veer computes, without Veer."""

import ast
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models import LogMel
from models.plain.one_file import one_file
from results.plugin.plugin import PluginExport, export_plugin
from results.plugin.settings import fork_settings, left_out, plain_settings
from spaces.files.errors import ConfigError, RunError
from tests.worlds import trainer_scoring
from tests.worlds.corpus import write_corpus
from tests.worlds.own_student import TRIAL as OWN
from tests.worlds.tiny_models import MIXER
from tests.worlds.untrained_models import FAMILIES, untrained_model, write_untrained
from trainable.audio.augmentation_config import AugmentationConfig
from trainable.checkpoints.loading import LoadedModel, load_speaker_model
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import CorpusConfig, read_corpus_config, read_trial_list
from trainable.verification.evaluation import score_pairs

CPU = torch.device("cpu")
SAME_FAMILY = {"mixer_grouped": "Grouped", "resnet_ASP": "ResNetASP", "next_light": "NextLight"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> CorpusConfig:
    folder = tmp_path_factory.mktemp("corpus")
    return read_corpus_config(write_corpus(folder, num_utterances=3))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    folder = tmp_path_factory.mktemp("models")
    return {name: load_speaker_model(write_untrained(folder, name)) for name in FAMILIES}


@pytest.fixture(scope="module")
def scored(
    loaded: dict[str, LoadedModel], corpus: CorpusConfig, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What the trainer finds for every family, and what it imported beside the plug-ins."""
    folder, configs = tmp_path_factory.mktemp("trainer"), []
    for name, each in loaded.items():
        export = PluginExport(
            loaded=each, corpus=corpus, teacher=None, name=SAME_FAMILY.get(name)
        )
        out = folder.with_name(f"{folder.name}-{name}")
        configs += export_plugin(export, out)
        shutil.copytree(out, folder, dirs_exist_ok=True)
    script = Path(trainer_scoring.__file__)
    done = subprocess.run(
        [sys.executable, "-I", str(script), str(folder), *map(str, configs)],
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return dict(zip(loaded, found.pop("configs"), strict=True)) | found


@pytest.mark.parametrize("name", FAMILIES)
def test_the_trainer_prints_the_eer_that_veer_evaluates(
    name: str, loaded: dict[str, LoadedModel], corpus: CorpusConfig, scored: dict[str, Any]
) -> None:
    pairs = read_trial_list(corpus.val_list, corpus.val_dir)
    own = score_pairs(loaded[name].model, corpus.val_dir, pairs, eval_frames=60, device=CPU)
    eer_pct = own.result.voxceleb_trainer.eer_pct_voxceleb_trainer
    assert 0 < eer_pct < 100
    assert scored[name]["eer_pct"] == pytest.approx(eer_pct, abs=0.01)
    assert scored[name]["without_gradient"] == []


def test_a_plugin_needs_nothing_of_veer(scored: dict[str, Any]) -> None:
    assert scored["others"] == []


@pytest.mark.parametrize("name", FAMILIES)
def test_a_file_has_the_embeddings_of_the_family(name: str) -> None:
    config = FAMILIES[name]
    namespace: dict[str, Any] = {"__name__": "plugin"}
    text = one_file(config.family, config.model_dump(), "A note.")
    exec(compile(text, "plugin", "exec"), namespace)
    model = untrained_model(config)
    plain = namespace["MainModel"](nOut=24, n_mels=40).eval()
    state = {k: v for k, v in model.state_dict().items() if not k.startswith("decoder.")}
    plain.load_state_dict(state)
    for num_samples in (6_000, 40 * 160 + 240, 24_000):
        wave_BS = torch.randn(2, num_samples, generator=torch.Generator().manual_seed(1)) * 0.1
        torch.testing.assert_close(
            plain(wave_BS), model.embed(LogMel()(wave_BS)), rtol=1e-4, atol=1e-4
        )
    wave_BS = wave_BS[:, : 40 * 160 + 240]
    with torch.no_grad():
        trained = model.train()(LogMel()(wave_BS)[:, :40]).embedding_BD
        if config.fixed_frames is not None:
            torch.testing.assert_close(plain.train()(wave_BS), trained, rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="nOut must be 24 for this model, got 512"):
        namespace["MainModel"](nOut=512)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_size_is_filled_in_and_only_torch_is_imported(name: str) -> None:
    config = FAMILIES[name].model_dump(exclude={"family", "num_decoder_blocks"})
    tree = ast.parse(text := one_file(FAMILIES[name].family, config, "A note."))
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for key, value in config.items():
        assert constants[key.upper()] == value
    imported = {each for node in ast.walk(tree) for each in imported_by(node)}
    # Besides those of PyTorch, modules that every Python has.
    assert imported <= {"__future__", "fractions", "math", "torch", "torchaudio", "typing"}
    assert max(map(len, text.splitlines())) < 100
    for left in ("type: ignore", "noqa", "runs_fused", "pydantic"):
        assert left not in text


def imported_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [each.name.split(".")[0] for each in node.names]
    return [str(node.module).split(".")[0]] if isinstance(node, ast.ImportFrom) else []


def test_only_a_new_folder_or_an_earlier_export_is_written_to(
    loaded: dict[str, LoadedModel], tmp_path: Path
) -> None:
    export = PluginExport(loaded=loaded["mixer"], corpus=None, teacher=None)
    out = tmp_path / "out"
    export_plugin(export, out)
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    (out / "weights" / "VeerMLPMixer.model").unlink()
    export_plugin(export, out)
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before
    assert [each.name for each in tmp_path.iterdir()] == ["out"]
    (out / "trainSpeakerNet.py").write_text("theirs")
    with pytest.raises(RunError, match=r"nothing but .* VeerMLPMixer, got trainSpeakerNet.py"):
        export_plugin(export, out)
    assert (out / "trainSpeakerNet.py").read_text() == "theirs"


def test_a_class_of_the_users_and_a_bad_name_are_refused(
    loaded: dict[str, LoadedModel], tmp_path: Path
) -> None:
    export = PluginExport(loaded=loaded["mixer"], corpus=None, teacher=None, name="my-model")
    with pytest.raises(ConfigError, match="name of a Python module, got 'my-model'"):
        export_plugin(export, tmp_path / "out")
    config = TrialConfig.model_validate(OWN)
    own = PluginExport(
        loaded=replace(loaded["mixer"], config=config), corpus=None, teacher=None
    )
    with pytest.raises(ConfigError, match=r"family mine.net:Net is a class of your own: write"):
        export_plugin(own, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def trial_of(**sections: Any) -> TrialConfig:
    return TrialConfig.model_validate({"model": MIXER, "training": {"crop_frames": 40}} | sections)


def test_a_decay_is_converted_to_the_interval_of_the_evaluations() -> None:
    """The rate is the same wherever both have a decay."""
    training = {"crop_frames": 40, "lr_decay": 0.9, "lr_decay_every_epochs": 4}
    trial = trial_of(training=training | {"full_eval_every_epochs": 6, "max_epochs": 60})
    settings = plain_settings(trial, None, name="A", num_speakers=7, weights="w.model")
    assert settings["test_interval"] == 6
    assert settings["lr_decay"] ** (12 / 6) == pytest.approx(0.9 ** (12 / 4))
    assert settings["nClasses"] == 7


@pytest.mark.parametrize(
    ("epochs", "every", "interval"),
    [(9, 10, 9), (18, 10, 9), (20, 10, 10), (24, 10, 8), (7, 3, 1)],
)
def test_the_last_epoch_is_evaluated(epochs: int, every: int, interval: int) -> None:
    training = {"crop_frames": 40, "max_epochs": epochs, "full_eval_every_epochs": every}
    settings = plain_settings(
        trial_of(training=training), None, name="A", num_speakers=7, weights="w.model"
    )
    assert (settings["max_epoch"], settings["test_interval"]) == (epochs, interval)


def test_a_curve_becomes_steps_to_the_same_end() -> None:
    curve = {"schedule": "cosine", "final_lr_ratio": 0.02, "max_epochs": 60, "optimizer": "sgd"}
    trial = trial_of(training=curve | {"crop_frames": 40, "full_eval_every_epochs": 6})
    settings = plain_settings(trial, None, name="A", num_speakers=7, weights="w.model")
    assert settings["lr_decay"] ** (60 / 6) == pytest.approx(0.02)
    assert settings["optimizer"] == "sgd"
    named = left_out(trial, None, distils=True)
    assert named["training.schedule"] == "cosine"
    assert "training.optimizer" not in named
    adamw = trial_of(training={"crop_frames": 40, "optimizer": "adamw"})
    assert left_out(adamw, None, distils=True)["training.optimizer"] == "adamw"


def test_settings_are_the_scripts_and_never_null_or_a_flag(corpus: CorpusConfig) -> None:
    """A key that the trainer does not know is ignored there, and null becomes the text None."""
    settings = plain_settings(trial_of(), corpus, name="A", num_speakers=7, weights="w.model")
    assert settings.keys() <= trainer_scoring.KEYS.keys()
    cast = {key: trainer_scoring.KEYS[key](value) for key, value in settings.items()}
    assert cast == settings
    assert None not in settings.values()
    assert fork_settings(trial_of(loss={"distillation": "none"}), {}) == {}
    fork = fork_settings(trial_of(loss={"distillation": "mse", "alpha": 0.4}), {})
    assert fork.pop("distillation_type") == "mse"
    assert fork.pop("distillation_alpha") == 0.4
    assert fork.pop("distillation_temperature") == 4.0
    assert fork == {"hidden_dim": 16, "num_blocks": 1, "expansion_factor": 3, "groups": 4}


def test_what_the_trainer_cannot_express_is_named(corpus: CorpusConfig) -> None:
    trial = trial_of(training={"crop_frames": 40, "ema_epochs": 2.0, "max_grad_norm": 3.0})
    found = left_out(trial, corpus, distils=True)
    assert found == {"training.max_grad_norm": 3.0, "training.ema_epochs": 2.0}
    assert left_out(trial, corpus, distils=False).keys() - found == {
        "loss.distillation", "loss.alpha",
    }  # fmt: skip
    augmented = corpus.model_copy(update={"augmentation": AugmentationConfig(copies=2)})
    assert left_out(trial, augmented, distils=True)["augmentation.copies"] == 2
    of_kaldi = corpus.model_copy(update={"speed_factors": (0.9, 1.1), "format": "kaldi"})
    named = left_out(trial, of_kaldi, distils=True)
    assert (named["speed_factors"], named["format"]) == ([0.9, 1.1], "kaldi")
