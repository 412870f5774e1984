"""The memory that a trial needs of a GPU, of its step and its validation."""

from trainable.cost.step_memory import StepMemory


def test_a_captured_step_keeps_its_memory_during_validation() -> None:
    memory = StepMemory(300, True, 200)
    assert memory.most_bytes == 300
    assert memory._replace(is_captured=True).most_bytes == 500
