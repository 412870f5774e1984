"""The contract of every model, and the sizes that the notes and the papers give."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from models import (
    ECAPATDNNConfig,
    LSTMAutoencoderConfig,
    MLPMixerConfig,
    ModelConfig,
    ResNetSE34LConfig,
    SpeakerModel,
    build_model,
    count_parameters,
)
from models.catalogue import BUILDERS, BundledModelConfig
from tests.worlds.model_cases import CASES, EMBEDDING, FRAMES, Case
from tests.worlds.untrained_models import settle


class Embedding(nn.Module):
    """The module that is exported: one tensor in, one out."""

    def __init__(self, model: SpeakerModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, feat_BTF: Tensor) -> Tensor:
        return self.model(feat_BTF).embedding_BD


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, own_code: Callable[..., Path]) -> Case:
    case = CASES[request.param]
    if case.source is not None:
        own_code(case.config.family.partition(":")[0], case.source)
    return case


@pytest.fixture
def model(case: Case) -> SpeakerModel:
    torch.manual_seed(1)
    return build_model(case.config)


class TestEveryModel:
    """What each family must do."""

    def test_embedding_and_stages_have_the_documented_shapes(
        self, case: Case, model: SpeakerModel
    ) -> None:
        output = model(torch.randn(3, FRAMES, 80), with_stages=True)
        assert output.embedding_BD.shape == (3, model.embedding_dim) == (3, EMBEDDING)
        assert tuple(stage.shape for stage in output.stages) == tuple((3, *s) for s in case.stages)

    def test_stages_are_empty_unless_asked_for(self, model: SpeakerModel) -> None:
        assert model(torch.randn(2, FRAMES, 80)).stages == ()

    def test_stages_change_nothing_in_the_embedding(self, model: SpeakerModel) -> None:
        feat_BTF = torch.randn(2, FRAMES, 80)
        with_stages = model.eval()(feat_BTF, with_stages=True)
        assert torch.equal(with_stages.embedding_BD, model(feat_BTF).embedding_BD)

    def test_the_config_states_length_and_reconstruction(
        self, case: Case, model: SpeakerModel
    ) -> None:
        assert model.num_frames == case.config.fixed_frames
        feat_BTF = torch.randn(2, FRAMES, 80)
        rebuilt_BTF = model(feat_BTF).reconstruction_BTF
        rebuilds = case.config.has_reconstruction if case.rebuilds is None else case.rebuilds
        assert (rebuilt_BTF is not None) == rebuilds
        assert rebuilt_BTF is None or rebuilt_BTF.shape == feat_BTF.shape
        assert model.eval()(feat_BTF).reconstruction_BTF is None

    def test_gradient_reaches_every_parameter(self, case: Case) -> None:
        # In double precision, since there a gradient of 0 (1e-12 at most) differs clearly from a
        # small one. Several draws, since a gate with a single ReLU may be closed in one.
        largest: dict[str, float] = {}
        for seed in range(8):
            torch.manual_seed(seed)
            model = build_model(case.config).double()
            output = model(torch.randn(4, FRAMES, 80, dtype=torch.float64))
            # A random direction: the sum of squares after batch normalisation is constant.
            loss = (output.embedding_BD * torch.randn_like(output.embedding_BD)).sum()
            if output.reconstruction_BTF is not None:
                loss = loss + output.reconstruction_BTF.square().sum()
            loss.backward()
            for name, parameter in model.named_parameters():
                size = 0.0 if parameter.grad is None else parameter.grad.abs().max().item()
                largest[name] = max(size, largest.get(name, 0.0))
        unreached = {name for name, size in largest.items() if size < 1e-9}
        assert unreached == set(case.cancelled)

    @pytest.mark.parametrize("num_frames", [1, 13, 40, 41, 95, 200])
    def test_any_length_gives_one_finite_embedding(
        self, model: SpeakerModel, num_frames: int
    ) -> None:
        emb_BD = model.eval().embed(torch.randn(2, num_frames, 80))
        assert emb_BD.shape == (2, EMBEDDING)
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
        feat_BTF = torch.randn(2, FRAMES, 80)
        louder = feat_BTF + torch.randn(80)
        torch.testing.assert_close(
            model.eval().embed(feat_BTF), model.embed(louder), rtol=1e-3, atol=1e-4
        )

    def test_weights_saved_and_loaded_give_the_same_embedding(
        self, case: Case, model: SpeakerModel
    ) -> None:
        file = io.BytesIO()
        torch.save(model.state_dict(), file)
        file.seek(0)
        twin = build_model(type(case.config).model_validate(case.config.model_dump()))
        twin.load_state_dict(torch.load(file, weights_only=True))
        feat_BTF = torch.randn(2, FRAMES, 80)
        assert torch.equal(model.eval().embed(feat_BTF), twin.eval().embed(feat_BTF))

    def test_same_seed_gives_the_same_weights(self, case: Case, model: SpeakerModel) -> None:
        torch.manual_seed(1)
        twin = build_model(case.config)
        for a, b in zip(model.parameters(), twin.parameters(), strict=True):
            assert torch.equal(a, b)

    # PyTorch's other exporter needs a package that nothing else here does.
    @pytest.mark.filterwarnings(
        "ignore:.*legacy TorchScript-based:DeprecationWarning",
        "ignore:The feature will be removed:DeprecationWarning",
        "ignore:Constant folding:UserWarning",
        "ignore:Exporting a model to ONNX with a batch_size:UserWarning",
        "ignore::torch.jit.TracerWarning",
    )
    def test_the_exported_graph_gives_the_same_embeddings(self, model: SpeakerModel) -> None:
        settle(model)
        free = {0: "B"} if model.num_frames else {0: "B", 1: "T"}
        file = io.BytesIO()
        torch.onnx.export(
            Embedding(model).eval(),
            (torch.randn(1, FRAMES, 80),),
            file,
            dynamo=False,
            input_names=["feat"],
            dynamic_axes={"feat": free},
        )
        graph = ReferenceEvaluator(onnx.load_from_string(file.getvalue()))
        feat_BTF = torch.randn(3, model.num_frames or FRAMES + 17, 80)
        (exported_BD,) = graph.run(None, {"feat": feat_BTF.numpy()})
        expected_BD = model.eval()(feat_BTF).embedding_BD.detach()
        found_BD = torch.from_numpy(exported_BD)
        torch.testing.assert_close(found_BD, expected_BD, rtol=1e-3, atol=1e-5)

    def test_every_parameter_is_counted_trained_and_saved(
        self, case: Case, model: SpeakerModel
    ) -> None:
        buffers = {name for name, _ in model.named_buffers()}
        saved = {k: v for k, v in model.state_dict().items() if k not in buffers}
        assert sum(v.numel() for v in saved.values()) == case.num_params
        assert count_parameters(model) == case.num_params

    def test_a_training_step_changes_the_embedding(self, model: SpeakerModel) -> None:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        feat_BTF, target_BD = torch.randn(4, FRAMES, 80), torch.randn(4, EMBEDDING)
        losses = []
        for _ in range(3):
            loss = (model(feat_BTF).embedding_BD - target_BD).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[2] < losses[0]

    def test_models_hold_no_buffers_of_the_front_end(self, model: SpeakerModel) -> None:
        assert not [name for name, _ in model.named_buffers() if "mel" in name]


def test_the_contract_covers_every_family_of_the_catalogue() -> None:
    union, _ = get_args(BundledModelConfig)
    families = {config.model_fields["family"].default for config in get_args(union)}
    tested = {case.config.family for case in CASES.values() if case.source is None}
    assert families == set(BUILDERS) == tested


@pytest.mark.parametrize(
    ("config", "millions"),
    [
        (MLPMixerConfig(), 2.66),
        (MLPMixerConfig(group_channel_mixing=True), 1.174),
        (LSTMAutoencoderConfig(), 3.87),
        (ResNetSE34LConfig(encoder_type="ASP"), 1.50),
        (ECAPATDNNConfig(), 6.2),
        (ECAPATDNNConfig(channels=1024), 14.7),
    ],
)
def test_default_sizes_are_the_stated_ones_within_one_percent(
    config: ModelConfig, millions: float
) -> None:
    assert count_parameters(build_model(config)) == pytest.approx(millions * 1e6, rel=0.01)


def test_pooling_only_the_mean_saves_half_the_last_layer_of_the_resnet() -> None:
    sizes = [
        count_parameters(build_model(ResNetSE34LConfig(encoder_type=encoder)))
        for encoder in ("SAP", "ASP")
    ]
    assert sizes[1] - sizes[0] == 128 * 512
    assert 1.4e6 < sizes[0] < 1.5e6
