from collections.abc import Callable

import pytest

Mistakes = Callable[[str], list[str]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The first choice, the last one, each bound, and bounds that the field excludes.
        (
            "loss:\n  distillation:\n    choices:\n    - msee\n    - mse\n",
            ["4: loss.distillation.choices[0]: must be 'none', 'mse' or 'cosine', got 'msee'; "
             "did you mean 'mse'?"],
        ),
        (
            "seed:\n  choices:\n    - 1\n    - x\n",
            ["4: seed.choices[1]: must be a valid integer, unable to parse string as an integer, "
             "got 'x'"],
        ),
        (
            "loss:\n  alpha:\n    low: -0.1\n    high: 1.1\n",
            [
                "3: loss.alpha.low: must be greater than or equal to 0, got -0.1",
                "4: loss.alpha.high: must be less than or equal to 1, got 1.1",
            ],
        ),
        (
            "loss:\n  temperature:\n    low: 0\n    high: 1\n",
            ["3: loss.temperature.low: must be greater than 0, got 0.0"],
        ),
        # A rule of the whole model, broken by a later and by the first value.
        (
            "model:\n  family: mixer\n  hidden_dim:\n    choices:\n    - 64\n    - 65\n",
            ["6: model.hidden_dim.choices[1]: with 65, model: hidden_dim % groups == 0 must "
             "hold, got 65 and 4"],
        ),
        (
            "lr: {low: 1, high: 2}\nmodel:\n  family: mixer\n  hidden_dim:\n    choices:\n"
            "    - 65\n    - 64\n  num_blocks: {low: 1, high: 2}\n",
            ["6: model.hidden_dim.choices[0]: with 65, model: hidden_dim % groups == 0 must "
             "hold, got 65 and 4"],
        ),
        # As before, beside a dimension whose own mistake hides the rule.
        (
            "model:\n  family: mixer\n  num_blocks:\n    low: 1\n    high: 99\n"
            "  groups:\n    choices: [5, 4]\n",
            [
                "7: model.groups.choices[0]: with 5, model: hidden_dim % groups == 0 must "
                "hold, got 192 and 5",
                "5: model.num_blocks.high: must be less than or equal to 64, got 99",
            ],
        ),
        # Reached only under a condition that the first values do not meet.
        (
            "loss:\n  distillation: {choices: [none, mse]}\n"
            "  alpha:\n    low: 0.5\n    high: 3\n    when: {loss.distillation: mse}\n",
            ["5: loss.alpha.high: must be less than or equal to 1, got 3.0"],
        ),
        # Two mistakes at once, one of them in a fixed value.
        (
            "loss:\n  alpha: 2\n  temperature: {low: -1, high: 1}\n",
            [
                "2: loss.alpha: must be less than or equal to 1, got 2",
                "3: loss.temperature.low: must be greater than 0, got -1.0",
            ],
        ),
    ],
)
def test_a_value_that_the_config_refuses_is_found_before_any_trial(
    mistakes: Mistakes, text: str, expected: list[str]
) -> None:
    assert mistakes(text) == expected


KINDS = "loss:\n  distillation: {choices: [none, mse, cosine]}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            KINDS + "  alpha: {low: 0, high: 1, when: {loss.distilation: mse}}\n",
            "3: loss.alpha.when.loss.distilation: is not a parameter of this space; "
            "did you mean 'loss.distillation'?",
        ),
        (
            KINDS + "  alpha: {low: 0, high: 1, when: {distillation: mse}}\n",
            "3: loss.alpha.when.distillation: is not a parameter of this space; "
            "did you mean 'loss.distillation'?",
        ),
        (
            KINDS + "  alpha:\n    low: 0\n    high: 1\n"
            "    when: {loss.distillation: [mse, cosin]}\n",
            "6: loss.alpha.when.loss.distillation: can never be 'cosin'; did you mean 'cosine'?",
        ),
        (
            "model: {family: mixer}\nloss:\n"
            "  alpha: {low: 0, high: 1, when: {model.family: lstm}}\n",
            "3: loss.alpha.when.model.family: can never hold: model.family is fixed at 'mixer'",
        ),
        (
            "seed: {low: 1, high: 9, step: 4}\n"
            "loss:\n  alpha: {low: 0, high: 1, when: {seed: 4}}\n",
            "3: loss.alpha.when.seed: can never be 4",
        ),
        # alpha waits for mse, temperature for alpha and for none.
        (
            KINDS + "  alpha: {choices: [0.5], when: {loss.distillation: mse}}\n"
            "  temperature:\n    low: 1\n    high: 8\n"
            "    when: {loss.alpha: 0.5, loss.distillation: none}\n",
            "7: loss.temperature.when: can never hold: no value of loss.distillation meets all "
            "of its conditions",
        ),
        (KINDS + "  alpha: {choices: [0.5], when: mse}\n",
         "3: loss.alpha.when: must be a mapping, such as {loss.distillation: mse}, got 'mse'"),
        (KINDS + "  alpha: {choices: [0.5], when: {loss.distillation: []}}\n",
         "3: loss.alpha.when: must name at least one value, got none for 'loss.distillation'"),
    ],
)
def test_a_condition_that_cannot_hold_is_refused(
    mistakes: Mistakes, text: str, expected: str
) -> None:
    assert mistakes(text) == [expected]


def test_conditions_in_a_circle_are_refused(mistakes: Mistakes) -> None:
    text = (
        "seed: {choices: [1], when: {lr: 1}}\n"
        "lr: {low: 1, high: 2, when: {loss.alpha: 1}}\n"
        "loss: {alpha: {choices: [1], when: {seed: 1}}}\n"
    )
    assert mistakes(text) == [" conditions depend on each other in a circle: seed, lr, loss.alpha"]
