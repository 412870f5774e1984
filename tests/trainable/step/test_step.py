"""One step against a plain one: the update, the clipping, the loss scale, the precision."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from spaces.files.errors import TrainingError
from tests.worlds.one_step import CPU, SCALED, make_batch, make_step, trial
from trainable.machine.engine import Engine, EngineConfig, resolve_engine
from trainable.step.step import TrainingStep


def weights(step: TrainingStep) -> list[torch.Tensor]:
    return [p.detach().clone() for p in step.student.parameters()]


@pytest.mark.parametrize("max_grad_norm", [1e9, 0.01])
def test_steps_are_those_of_a_plain_loop(max_grad_norm: float) -> None:
    config = trial(max_grad_norm=max_grad_norm, weight_decay=0.01)
    step, twin = (make_step(Engine(device=CPU), config) for _ in range(2))
    student, objective = twin.student.train(), twin.objective
    parameters = [*student.parameters(), *objective.parameters()]
    adam = torch.optim.Adam(parameters, lr=config.training.lr, weight_decay=0.01, foreach=False)
    for seed in range(3):
        batch = make_batch(seed=seed)
        terms = objective(student, batch.seen_BTF, batch.crops, batch.speaker_B)
        adam.zero_grad()
        terms["total"].backward()
        nn.utils.clip_grad_norm_(parameters, max_grad_norm)
        adam.step()
        torch.testing.assert_close(step.run(batch)["total"], terms["total"].detach())
    # Batch normalisation cancels this bias: its gradient is rounding, which Adam makes large.
    cancelled = {"project.bias"}
    mine, plain = dict(step.student.named_parameters()), dict(student.named_parameters())
    for name in mine.keys() - cancelled:
        torch.testing.assert_close(mine[name], plain[name], rtol=1e-4, atol=1e-5)


def kinds_of_plain() -> dict[str, tuple[type, dict[str, object]]]:
    return {
        "adamw": (torch.optim.AdamW, {}),
        "sgd": (torch.optim.SGD, {"momentum": 0.8, "nesterov": True}),
    }


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_steps_of_other_optimizers_are_those_of_a_plain_loop(name: str) -> None:
    kind, own = kinds_of_plain()[name]
    config = trial(optimizer=name, weight_decay=0.05, lr=0.01, **own)
    step, twin = (make_step(Engine(device=CPU), config) for _ in range(2))
    student, objective = twin.student.train(), twin.objective
    parameters = [*student.parameters(), *objective.parameters()]
    plain = kind(parameters, lr=0.01, weight_decay=0.05, foreach=False, **own)
    for seed in range(3):
        batch = make_batch(seed=seed)
        plain.zero_grad()
        objective(student, batch.seen_BTF, batch.crops, batch.speaker_B)["total"].backward()
        nn.utils.clip_grad_norm_(parameters, config.training.max_grad_norm)
        plain.step()
        step.run(batch)
    mine, theirs = step.student.embedding.weight, student.embedding.weight
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(step.objective.classifier.weight, objective.classifier.weight)


def test_losses_are_float32_of_passes_that_are_not() -> None:
    engine = resolve_engine(EngineConfig(precision="bfloat16"), CPU)
    step = make_step(engine)
    seen: list[torch.dtype] = []
    step.student.embedding.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    teacher = step.objective.teacher.model
    teacher.register_forward_hook(lambda *call: seen.append(call[2].embedding_BD.dtype))
    terms = step.run(make_batch())
    assert seen == [torch.bfloat16, torch.bfloat16]
    assert {term.dtype for term in terms.values()} == {torch.float32}
    assert {p.dtype for p in step.student.parameters()} == {torch.float32}
    exact = make_step(Engine(device=CPU)).run(make_batch())
    for name in ("classification", "distillation", "total"):
        assert terms[name].item() == pytest.approx(exact[name].item(), rel=0.05)
        # Rounded to bfloat16 the loss would have 8 bits.
        assert terms[name].item() != terms[name].bfloat16().item()


def test_a_scaled_loss_gives_the_update_of_an_unscaled_one() -> None:
    # A norm that is always exceeded: clipped gradients of the scaled loss would be far smaller.
    config = trial(max_grad_norm=0.01)
    plain = make_step(Engine(device=CPU, dtype=torch.bfloat16), config)
    scaled = make_step(SCALED, config)
    for seed in range(3):
        plain.run(make_batch(seed=seed))
        scaled.run(make_batch(seed=seed))
    for one, other in zip(weights(plain), weights(scaled), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    assert scaled.num_skipped == 0


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_step_whose_gradients_overflow_is_skipped_and_halves_the_scale(optimizer: str) -> None:
    step = make_step(SCALED, trial(optimizer=optimizer))
    step.run(make_batch())
    scale = step.state()["scaler"]["scale"]
    before, batch = weights(step), make_batch()
    hook = step.student.embedding.weight.register_hook(lambda grad: grad * float("inf"))
    step.run(batch)
    hook.remove()
    assert all(map(torch.equal, before, weights(step)))
    assert (step.num_steps, step.num_skipped) == (2, 1)
    assert step.state()["scaler"]["scale"] == scale / 2
    step.run(batch)
    assert not all(map(torch.equal, before, weights(step)))


def test_a_first_step_that_overflows_leaves_no_momenta_behind() -> None:
    step, plain = (make_step(SCALED, trial(optimizer="sgd")) for _ in range(2))
    hook = step.student.embedding.weight.register_hook(lambda grad: grad * float("inf"))
    step.run(make_batch())
    hook.remove()
    step.student.load_state_dict(plain.student.state_dict())  # batch statistics too
    for each in (step, plain):
        each.run(make_batch(seed=2))
    for one, other in zip(weights(step), weights(plain), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("engine", [Engine(device=CPU), SCALED], ids=["float32", "scaled"])
def test_a_restored_step_continues_bit_for_bit(engine: Engine, optimizer: str) -> None:
    one, other = (make_step(engine, trial(optimizer=optimizer)) for _ in range(2))
    if engine.scales_loss:
        hook = one.student.embedding.weight.register_hook(lambda grad: grad * float("inf"))
        one.run(make_batch())
        hook.remove()
    one.run(make_batch(seed=2))
    other.student.load_state_dict(one.student.state_dict())
    other.objective.load_state_dict(one.objective.state_dict())
    other.load_state(deepcopy(one.state()))
    assert (other.num_steps, other.num_skipped) == (one.num_steps, one.num_skipped)
    for step in (one, other):
        step.run(make_batch(seed=3))
    assert all(map(torch.equal, weights(one), weights(other)))
    assert one.state()["scaler"] == other.state()["scaler"]


def test_an_optimizer_saved_in_another_form_keeps_this_devices() -> None:
    step = make_step(Engine(device=CPU))
    step.run(make_batch())
    saved = step.state()
    for group in saved["optimizer"]["param_groups"]:
        group |= {"fused": None, "foreach": True}
    other = make_step(Engine(device=CPU))
    other.load_state(saved)
    assert [(g["fused"], g["foreach"]) for g in other.optimizer.param_groups] == [(True, False)]
    assert other.num_steps == 1


def test_a_compiled_student_takes_the_same_steps() -> None:
    plain = make_step(Engine(device=CPU))
    compiled = make_step(Engine(device=CPU, compiler="eager"))
    for seed in range(2):
        expected = plain.run(make_batch(seed=seed))
        torch.testing.assert_close(compiled.run(make_batch(seed=seed)), expected)
    assert list(compiled.student.state_dict()) == list(plain.student.state_dict())


def test_a_machine_that_cannot_compile_reports_what_is_missing() -> None:
    def fails(*graph: object) -> None:
        del graph
        raise RuntimeError("No working C++ compiler found")

    step = make_step(Engine(device=CPU, compiler=fails))  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match=r"No working C\+\+ compiler.*engine.compile to false"):
        step.run(make_batch())


def test_other_errors_of_a_step_stay_what_they_are() -> None:
    step = make_step(Engine(device=CPU))
    batch = make_batch()
    error = torch.OutOfMemoryError("tried to allocate 9 GiB")

    def fill_up(*call: object) -> None:
        del call
        raise error

    step.student.register_forward_hook(fill_up)
    with pytest.raises(torch.OutOfMemoryError, match="9 GiB") as raised:
        step.run(batch)
    assert raised.value is error


def test_a_meter_is_called_for_every_step_in_order() -> None:
    heard: list[str] = []

    class Ears:
        def begin(self) -> None:
            heard.append("begin")

        def forward_done(self) -> None:
            heard.append("fullest")

        def end(self) -> None:
            heard.append("end")

    step = make_step(Engine(device=CPU))
    step.run(make_batch(), Ears())
    step.run(make_batch(), Ears())
    assert heard == ["begin", "fullest", "end"] * 2


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["auto", "float32", "float16"])
def test_a_gpu_learns_in_every_precision(precision: str) -> None:
    device = torch.device("cuda")
    step = make_step(resolve_engine(EngineConfig(precision=precision), device), trial(lr=3e-3))
    losses = [step.run(make_batch(device))["total"].item() for _ in range(30)]
    assert losses[-1] < 0.5 * losses[0]
    assert step.num_skipped < 10
