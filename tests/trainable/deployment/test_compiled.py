"""Networks compiled by `torch.compile`, here by its backend that generates no code."""

from pathlib import Path
from typing import Any

import pytest
import torch

from spaces.files.errors import ConversionError
from tests.trainable.deployment.test_convert import loaded
from tests.worlds.untrained_models import FAMILIES
from trainable.deployment.compiled import compile_network
from trainable.deployment.request import FormRequest
from trainable.deployment.running import network_runner
from trainable.embedding.compiled_embedder import CompiledEmbedder
from trainable.embedding.embedder import CropPlan
from trainable.machine.hardware import cpu_has_bfloat16


def wave(batch: int, samples: int) -> torch.Tensor:
    return 0.1 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(batch))


@pytest.mark.parametrize("family", ["mixer", "lstm"])
def test_a_compiled_network_gives_the_networks_embeddings(family: str) -> None:
    network = loaded(FAMILIES[family])
    compiled = compile_network(network, backend="eager")
    assert compiled.cosine == pytest.approx(1.0, abs=1e-5)
    plain = network_runner(FormRequest(loaded=network, form="torchscript"))
    for batch, samples in ((1, 31_840), (3, 16_000)):
        x = wave(batch, samples)
        torch.testing.assert_close(compiled.run(x), plain(x), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's own imports
def test_the_usual_backend_gives_the_networks_embeddings() -> None:
    assert compile_network(loaded(FAMILIES["mixer"])).cosine == pytest.approx(1.0, abs=1e-4)


def test_each_number_of_threads_has_code_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch would run code that it compiled for two threads on one, with both."""
    asked: list[int] = []

    def compiled(function: Any, *, options: dict[str, int], **_: object) -> Any:
        asked.append(options["cpp.threads"])
        return function

    monkeypatch.setattr(torch, "compile", compiled)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        network = compile_network(loaded(FAMILIES["mixer"]))
        for number in (1, 2, 1):
            torch.set_num_threads(number)
            network.run(wave(1, 8_000))
    finally:
        torch.set_num_threads(before)
    assert asked == [2, 1]


@pytest.mark.slow
def test_more_shapes_than_pytorchs_limit_stay_compiled() -> None:
    variants: list[int] = []

    def counting(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Any:
        variants.append(1)
        return graph.forward

    torch.compiler.reset()
    compiled = compile_network(loaded(FAMILIES["mixer"]), backend=counting)  # type: ignore[arg-type]
    for batch in range(2, 13):
        compiled.run(wave(batch, 8_000))
    assert len(variants) == 12


def test_in_bfloat16_the_embeddings_are_nearly_the_networks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trainable.deployment.compiled.cpu_has_bfloat16", lambda: None)
    network = loaded(FAMILIES["mixer"])
    compiled = compile_network(network, torch.bfloat16, backend="eager")
    assert 0.99 < compiled.cosine < 1 - 1e-7
    assert compiled.run(wave(2, 16_000)).dtype == torch.float32


def test_a_cpu_without_bfloat16_has_no_such_form(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    info = tmp_path / "cpuinfo"
    known = {"avx2 fma": False, "avx512_bf16": True, "asimd bf16": True}
    for flags, expected in known.items():
        info.write_text(f"model name\t: A\nflags\t\t: fpu {flags}\n")
        assert cpu_has_bfloat16(info) is expected
    assert cpu_has_bfloat16(tmp_path / "none") is None
    monkeypatch.setattr("trainable.deployment.compiled.cpu_has_bfloat16", lambda: False)
    with pytest.raises(ConversionError, match="this CPU has no instructions for bfloat16"):
        compile_network(loaded(FAMILIES["mixer"]), torch.bfloat16)


def test_a_compiler_that_fails_is_named_with_what_it_needs() -> None:
    def failing(_: torch.fx.GraphModule, __: list[torch.Tensor]) -> Any:
        raise RuntimeError("Failed to find C compiler")

    with pytest.raises(ConversionError, match=r"RuntimeError: Failed to find .* \(g\+\+\)"):
        compile_network(loaded(FAMILIES["mixer"]), backend=failing)  # type: ignore[arg-type]


def test_other_embeddings_are_refused() -> None:
    def wrong(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Any:
        return lambda *inputs: [torch.ones_like(each) for each in graph.forward(*inputs)]

    with pytest.raises(ConversionError, match=r"other embeddings than the network: cosine 0\.\d+"):
        compile_network(loaded(FAMILIES["mixer"]), backend=wrong)  # type: ignore[arg-type]


def test_an_utterance_is_embedded_in_crops_of_one_number_at_a_time() -> None:
    network, sizes = loaded(FAMILIES["lstm"]), []

    def run(wave_BS: torch.Tensor) -> torch.Tensor:
        sizes.append(tuple(wave_BS.shape))
        return wave_BS[:, :2].clone()

    embedder = CompiledEmbedder(network, run)
    waves = [wave(1, samples)[0].numpy() for samples in (40_000, 20_000)]
    found = embedder.crops(waves, CropPlan(num_crops=5, num_frames=200))
    assert found.shape == (2, 5, 2)
    assert sizes == [(8, 31_840)] * 2
    # The first crop starts on the first sample; the last is of the second wave, not of padding.
    assert found[0, 0].tolist() == waves[0][:2].tolist()
    assert found[1, 0].tolist() == waves[1][:2].tolist()
    assert embedder.embedding_dim == network.model.embedding_dim
