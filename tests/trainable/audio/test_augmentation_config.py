"""Values that an augmentation config refuses, and its messages."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from spaces.files.errors import ConfigError
from spaces.files.yaml_file import load_model, read_yaml
from trainable.audio.augmentation_config import LIMITS, AugmentationConfig


def test_defaults_are_voxceleb_trainers() -> None:
    config = AugmentationConfig()
    assert config.copies == 0
    assert config.noise_snr_db == (0, 15)
    assert config.speech_snr_db == (13, 20)
    assert config.music_snr_db == (5, 15)
    assert config.num_voices == (3, 7)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in AugmentationConfig.model_fields.values())


def test_every_range_has_limits_that_hold_its_default() -> None:
    config = AugmentationConfig()
    ranges = {name for name, value in config if isinstance(value, tuple)}
    assert ranges == set(LIMITS)
    for name, (lowest, highest) in LIMITS.items():
        low, high = getattr(config, name)
        assert lowest <= low < high <= highest


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"copies": -1}, r"greater than or equal to 0 .*input_value=-1"),
        ({"copy": 1}, r"copy\n  Extra inputs are not permitted"),
        (
            {"noise_snr_db": (15, 0)},
            "-30 <= low <= high <= 60 must hold, got low=15, high=0",
        ),
        ({"rt60_s": (0, 1)}, "0.05 <= low <= high <= 5 must hold, got low=0, high=1"),
        ({"num_voices": (3, 21)}, "1 <= low <= high <= 20 must hold, got low=3, high=21"),
        ({"num_voices": (2.5, 4)}, "valid integer.*2.5"),
        ({"level_db": (-10, float("inf"))}, "finite number.*inf"),
        ({"level_db": (-10,)}, "level_db.1\n  Field required"),
        ({"kinds": ()}, "at least 1 item"),
        ({"kinds": ("level", "level")}, "must name each kind once, got level, level"),
        ({"kinds": ("levels",)}, "'noise', 'music', 'speech', 'reverberation' or 'level'"),
        (
            {"kinds": ("noise", "music")},
            "kinds: music needs musan_dir, got none; name the folder, or leave music out of kinds",
        ),
        ({"kinds": ("speech",), "rir_dir": "a"}, "kinds: speech needs musan_dir, got none"),
    ],
)
def test_what_breaks_a_rule_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AugmentationConfig.model_validate(settings)


def test_a_file_is_read_and_a_misspelt_kind_gets_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "augmentation.yaml"
    path.write_text("copies: 2\nmusan_dir: musan\nkinds: [musik]\n")
    with pytest.raises(ConfigError, match=r"kinds\[0\].*got 'musik'; did you mean 'music'\?"):
        load_model(AugmentationConfig, read_yaml(path))
    path.write_text("copies: 2\nmusan_dir: musan\nkinds: [music]\nlevel_db: [-5, 5]\n")
    config = load_model(AugmentationConfig, read_yaml(path))
    assert config.level_db == (-5, 5)


def test_relative_folders_start_from_the_files_own() -> None:
    config = AugmentationConfig(musan_dir=Path("../musan"), rir_dir=Path("/data/rir"))
    resolved = config.resolved_against(Path("/corpora/mine"))
    assert resolved.musan_dir == Path("/corpora/musan")
    assert resolved.rir_dir == Path("/data/rir")
    assert AugmentationConfig().resolved_against(Path("/corpora")) == AugmentationConfig()
