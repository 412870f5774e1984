"""The contract of every model, and the sizes that the notes give."""

import pytest
import torch
from torch import nn

from models import (
    LSTMAutoencoderConfig,
    MLPMixerConfig,
    SpeakerModel,
    build_model,
    count_parameters,
)
from models.base import windows

MODELS = {
    "mixer": MLPMixerConfig(hidden_dim=16, num_blocks=2, num_frames=40, embedding_dim=24),
    "mixer_grouped": MLPMixerConfig(
        hidden_dim=16, num_blocks=1, num_frames=40, group_channel_mixing=True, embedding_dim=24
    ),
    "lstm": LSTMAutoencoderConfig(
        hidden_dim=16, num_layers=2, bottleneck_dim=12, embedding_dim=24
    ),
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> SpeakerModel:
    torch.manual_seed(1)
    return build_model(MODELS[request.param])


class TestEveryModel:
    """What each family must do."""

    def test_embedding_and_stages_have_the_documented_shapes(self, model: SpeakerModel) -> None:
        output = model(torch.randn(3, 40, 80), with_stages=True)
        assert output.embedding_BD.shape == (3, model.embedding_dim) == (3, 24)
        assert output.stages
        assert all(s.shape[:2] == (3, 40) and s.ndim == 3 for s in output.stages)

    def test_stages_are_empty_unless_asked_for(self, model: SpeakerModel) -> None:
        assert model(torch.randn(2, 40, 80)).stages == ()

    def test_gradient_reaches_every_parameter(self, model: SpeakerModel) -> None:
        output = model(torch.randn(4, 40, 80))
        # A random direction: the sum of squares after batch normalisation is nearly constant.
        loss = (output.embedding_BD * torch.randn_like(output.embedding_BD)).sum()
        if output.reconstruction_BTF is not None:
            loss = loss + output.reconstruction_BTF.square().mean()
        loss.backward()
        # A bias before batch normalisation and the attention's last bias change nothing.
        without = [n for n, p in model.named_parameters() if p.grad is None]
        assert not without

    @pytest.mark.parametrize("num_frames", [1, 13, 40, 41, 95, 200])
    def test_any_length_gives_one_finite_embedding(
        self, model: SpeakerModel, num_frames: int
    ) -> None:
        emb_BD = model.eval().embed(torch.randn(2, num_frames, 80))
        assert emb_BD.shape == (2, 24)
        assert emb_BD.isfinite().all()

    @pytest.mark.parametrize("num_frames", [13, 40, 95])
    def test_stages_of_any_length_are_averaged_over_time(
        self, model: SpeakerModel, num_frames: int
    ) -> None:
        feat_BTF = torch.randn(2, num_frames, 80)
        *stages, emb_BD = model.eval().embed_stages(feat_BTF)
        assert torch.equal(emb_BD, model.embed(feat_BTF))
        output = model(torch.randn(2, 40, 80), with_stages=True)
        assert [s.shape for s in stages] == [(2, s.shape[2]) for s in output.stages]
        if num_frames == 40:
            expected = model(feat_BTF, with_stages=True).stages[0].mean(dim=1)
            assert torch.equal(stages[0], expected)

    def test_an_embedding_does_not_depend_on_its_batch_in_eval_mode(
        self, model: SpeakerModel
    ) -> None:
        feat_BTF = torch.randn(5, 95, 80)
        together = model.eval().embed(feat_BTF)
        alone = torch.cat([model.embed(feat_BTF[i : i + 1]) for i in range(5)])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)

    def test_level_of_the_input_changes_nothing(self, model: SpeakerModel) -> None:
        feat_BTF = torch.randn(2, 40, 80)
        louder = feat_BTF + torch.randn(80)
        torch.testing.assert_close(
            model.eval().embed(feat_BTF), model.embed(louder), rtol=1e-3, atol=1e-4
        )

    def test_weights_saved_and_loaded_give_the_same_embedding(self, model: SpeakerModel) -> None:
        twin = build_model(model.config)
        twin.load_state_dict(model.state_dict())
        feat_BTF = torch.randn(2, 40, 80)
        assert torch.equal(model.eval().embed(feat_BTF), twin.eval().embed(feat_BTF))

    def test_same_seed_gives_the_same_weights(self, model: SpeakerModel) -> None:
        torch.manual_seed(1)
        twin = build_model(model.config)
        for a, b in zip(model.parameters(), twin.parameters(), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("config", "millions"),
    [
        (MLPMixerConfig(), 2.66),
        (LSTMAutoencoderConfig(), 3.87),
        (MLPMixerConfig(group_channel_mixing=True), 1.174),
    ],
)
def test_default_sizes_are_the_notes_within_one_percent(config: object, millions: float) -> None:
    count = count_parameters(build_model(config))
    assert count == pytest.approx(millions * 1e6, rel=0.01)


def test_mixer_refuses_another_length_and_names_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"crops of 40 frames, got 41; use embed\(\)"):
        build_model(MODELS["mixer"])(torch.randn(1, 41, 80))


def test_frames_not_divisible_by_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="num_frames=202, groups=4"):
        MLPMixerConfig(num_frames=202)


def test_grouped_channels_not_divisible_by_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="hidden_dim=18, groups=4"):
        MLPMixerConfig(hidden_dim=18, group_channel_mixing=True)


def test_reconstruction_is_made_in_training_only() -> None:
    model = build_model(MODELS["lstm"])
    feat_BTF = torch.randn(2, 40, 80)
    rebuilt = model(feat_BTF).reconstruction_BTF
    assert rebuilt is not None
    assert rebuilt.shape == feat_BTF.shape
    assert model.eval()(feat_BTF).reconstruction_BTF is None


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (4, [[0, 1, 2, 3]]),
        (3, [[0, 1, 2, 0]]),
        (1, [[0, 0, 0, 0]]),
        (5, [[0, 1, 2, 3], [1, 2, 3, 4]]),
        (8, [[0, 1, 2, 3], [4, 5, 6, 7]]),
        (9, [[0, 1, 2, 3], [2, 3, 4, 5], [5, 6, 7, 8]]),
    ],
)
def test_windows_cover_the_crop(length: int, expected: list[list[int]]) -> None:
    assert windows(length, 4).tolist() == expected


def test_windows_of_a_long_crop_are_averaged() -> None:
    model = build_model(MODELS["mixer"]).eval()
    feat_BTF = torch.randn(1, 80, 80)
    halves = (model.embed(feat_BTF[:, :40]) + model.embed(feat_BTF[:, 40:])) / 2
    torch.testing.assert_close(model.embed(feat_BTF), halves)


def test_models_hold_no_buffers_of_the_front_end() -> None:
    names = [n for m in MODELS.values() for n, _ in build_model(m).named_buffers()]
    assert not [n for n in names if "mel" in n]
    assert isinstance(build_model(MODELS["lstm"]), nn.Module)
