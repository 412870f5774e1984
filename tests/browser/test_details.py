"""A trial's details on the page, in a real browser."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from results.journal.history import trial_histories
from results.journal.run_folder import RunFolder
from spaces.files.yaml_file import read_yaml
from tests.browser.pictures import eventually

pytestmark = pytest.mark.browser


def facts(page: Page) -> dict[str, str]:
    pairs = page.locator("#details dl div").evaluate_all(
        "all => all.map(each => [...each.children].map(child => child.textContent))"
    )
    return dict(pairs)


def test_a_row_opens_the_details_and_escape_closes_them(
    look: Callable[..., Page], run: RunFolder
) -> None:
    page = look()
    page.locator("#trials tr[data-trial='0'] td").nth(2).click()
    expect(page.locator("#details")).to_be_visible()
    trial = trial_histories(run.read())[0]
    assert trial.best is not None
    shown = facts(page)
    assert shown["VEER"].startswith(f"{trial.best_veer_pct:.2f} %, ")
    assert shown["VEER"].endswith(f"after epoch {trial.best.epoch} of 27")
    assert shown["state"] == "complete"
    assert shown["loss.distillation"] == trial.params["loss.distillation"]
    assert page.locator("#details .curve path").count() == 1
    veers = list(trial.measured.values())
    caption = page.locator("#details .curve figcaption").text_content()
    assert caption == (
        f"VEER by epoch, 1 to 27: highest {max(veers):.2f} %, "
        f"lowest {min(veers):.2f} % after epoch {1 + veers.index(min(veers))}"
    )
    page.keyboard.press("Escape")
    expect(page.locator("#details")).not_to_be_visible()
    assert "#" not in page.url


def test_a_link_opens_the_trial_that_it_names(look: Callable[..., Page]) -> None:
    page = look(place="#trial-7")
    expect(page.locator("#details-title")).to_have_text("Trial 7")
    assert page.locator("tr.chosen").get_attribute("data-trial") == "7"
    for name in ("learning_curves", "slices"):
        page.locator(f"#chart-{name}").scroll_into_view_if_needed()
        traces = f"document.querySelector('#chart-{name} .plot').data"
        is_marked = "each => each.name === 'chosen trial' && each.x.length > 0"
        eventually(page, f"Boolean({traces}?.some({is_marked}))")
    page.locator("#trials tr[data-trial='0'] a").evaluate("each => each.click()")
    expect(page.locator("#details-title")).to_have_text("Trial 0")
    page.go_back()
    expect(page.locator("#details-title")).to_have_text("Trial 7")
    page.locator("#close").click()
    expect(page.locator("#details")).not_to_be_visible()


def test_a_link_to_no_trial_opens_nothing(look: Callable[..., Page]) -> None:
    page = look(place="#trial-99999")
    assert not page.locator("#details").is_visible()
    for place in ("trial-x", "trials", "trial-0x1", "trial-1e0"):
        page.evaluate("place => { location.hash = place; }", place)
        page.wait_for_timeout(50)
        assert not page.locator("#details").is_visible()


def test_the_config_shown_is_the_trials(
    look: Callable[..., Page], run: RunFolder, tmp_path: Path
) -> None:
    page = look()
    for trial in trial_histories(run.read())[:6]:
        page.evaluate(f"location.hash = 'trial-{trial.trial}'")
        expect(page.locator("#details-title")).to_have_text(f"Trial {trial.trial}")
        file = tmp_path / f"{trial.trial}.yaml"
        file.write_text(page.locator("#details .config").inner_text())
        assert read_yaml(file).data == trial.started.config


def test_commands_are_copied(look: Callable[..., Page], run: RunFolder) -> None:
    page = look(place="#trial-0")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    buttons = page.locator("#details .copy")
    copied = []
    for button in buttons.all():
        button.click()
        expect(button).to_have_text("Copied")
        copied.append(page.evaluate("navigator.clipboard.readText()"))
    folder = run.path
    assert copied == [
        f"veer show {folder} 0",
        f"veer export {folder} --trial 0",
        f"veer train {folder}/export/trial-0000/config.yaml",
    ]


def test_data_of_the_details_is_the_journals(look: Callable[..., Page], run: RunFolder) -> None:
    data = json.loads(look().locator("#data").text_content() or "")
    trials = trial_histories(run.read())
    assert [each["trial"] for each in data["trials"]] == [trial.trial for trial in trials]
    assert data["trials"][0]["veer_pct"][0] == round(trials[0].in_order[0].veer_pct, 3)
