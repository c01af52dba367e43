"""Reports opened in a real browser without a window: what a person does, and what then changes."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dream import cli
from dream.eval.pretrained import pretrained
from dream.eval.report.build import SWAPPED, write_report
from dream.methods.registry import METHODS

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="no browser: install the packages chromium and chromium-driver to run the tests of the report in it",
)
OTHERS = sorted(set(METHODS) - {"dream"})
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1300,1000",
)
SEEN = """
    const of = (selector) => document.querySelector(selector);
    const html = (selector) => of(selector).innerHTML;
    return {
        explore: of("#explore .picture").toDataURL(), execute: of("#execute .picture").toDataURL(),
        saw: of("#explore .seen").toDataURL(), sees: of("#execute .seen").toDataURL(),
        moment: of("#moment").textContent, at: Number(of("#scrubber").value), last: Number(of("#scrubber").max),
        information: html("#information"), beliefs: html("#beliefs"), values: html("#values"), space: html("#space"),
        words: of("#words").textContent, waiting: of("#execute").classList.contains("waiting"),
    };
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def sign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "sign.html"
    write_report([pretrained("sign")], path, trials=4)
    return path


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pretrained pair on bus beside a barely trained run of each other method."""
    folder = tmp_path_factory.mktemp("compared")
    shutil.copytree(pretrained("bus"), folder / "bus" / "dream" / "s0")
    for method in OTHERS:
        debug = ["--preset", "debug", "--steps", "600", "--run-dir", str(folder / "bus" / method / "s0")]
        assert cli.run(["train", method, "--env", "bus", *debug]) == 0
    write_report([folder / "bus"], folder / "report.html", trials=2)
    return folder / "report.html"


def opened(browser: Any, path: Path) -> dict[str, Any]:
    """Open a report and wait for its first picture, which comes within two seconds."""
    browser.get_log("browser")
    began = time.monotonic()
    browser.get(path.as_uri())
    seen = wait_for(browser, lambda now: now["moment"] != "", within=10.0)
    assert time.monotonic() - began < 2.0 * slowness()
    return seen


def slowness() -> float:
    """How much longer things take here than on an idle core, by a loop that takes 0.1 s there; at least 1."""
    began = time.monotonic()
    sum(range(4_000_000))
    return max(1.0, (time.monotonic() - began) / 0.1)


def wait_for(browser: Any, condition: Any, within: float = 5.0) -> dict[str, Any]:
    until = time.monotonic() + within
    while not condition(now := browser.execute_script(SEEN)):
        assert time.monotonic() < until, now["moment"]
        time.sleep(0.02)
    return now


def press(browser: Any, key: str, times: int = 1) -> dict[str, Any]:
    from selenium.webdriver.common.by import By

    for _ in range(times):
        browser.find_element(By.TAG_NAME, "body").send_keys(key)
    return browser.execute_script(SEEN)


def click_on_track(browser: Any, share: float) -> dict[str, Any]:
    """Click with the mouse on the scrubber, at a share of its width."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    scrubber = browser.find_element(By.ID, "scrubber")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", scrubber)
    offset = round((share - 0.5) * (scrubber.size["width"] - 20))
    ActionChains(browser).move_to_element_with_offset(scrubber, offset, 0).click().perform()
    return browser.execute_script(SEEN)


def no_complaints(browser: Any) -> None:
    assert browser.get_log("browser") == []
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [address for address in loaded if not address.startswith("data:")] == []


def differ(before: dict[str, Any], after: dict[str, Any], *names: str) -> None:
    assert [name for name in names if before[name] == after[name]] == []


def same(before: dict[str, Any], after: dict[str, Any], *names: str) -> None:
    assert [name for name in names if before[name] != after[name]] == []


def test_sign_step_by_step_with_keys_and_mouse(browser: Any, sign: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    start = opened(browser, sign)
    assert start["at"] == 0 and start["moment"] == "Exploration, start" and start["waiting"]
    later = press(browser, Keys.ARROW_RIGHT, 6)
    assert later["at"] == 6 and later["moment"].startswith("Exploration, step 6")
    differ(
        start, later, "explore", "saw", "information", "beliefs", "values", "space"
    )  # the map with the way, the frame
    same(start, later, "execute", "sees")
    back = press(browser, Keys.ARROW_LEFT, 6)
    same(start, back, *start)  # the same picture after going back, though pictures hold only what changed

    executing = click_on_track(browser, 1.0)
    assert executing["at"] == executing["last"] and "return 1.00" in executing["moment"] and not executing["waiting"]
    differ(start, executing, "explore", "execute", "saw", "sees", "information", "beliefs", "space")
    half = click_on_track(browser, 0.5)
    assert abs(half["at"] - half["last"] / 2) <= 1
    browser.find_element(By.ID, "scrubber").send_keys(Keys.HOME)
    same(start, browser.execute_script(SEEN), "at", "explore", "execute")
    browser.find_element(By.ID, "scrubber").send_keys(Keys.END)
    same(executing, browser.execute_script(SEEN), "at", "explore", "execute", "moment")

    other = press(browser, "n")
    other = wait_for(browser, lambda now: now["words"] != start["words"])
    assert other["at"] == 0
    no_complaints(browser)


def test_the_agents_frames_are_enlarged_without_blur(browser: Any, sign: Path) -> None:
    opened(browser, sign)
    width, shown, rendering = browser.execute_script(
        "const seen = document.querySelector('#explore .seen');"
        "return [seen.width, seen.getBoundingClientRect().width, getComputedStyle(seen).imageRendering]"
    )
    assert width == 80 and shown == 320 and rendering == "pixelated"


def test_it_plays_and_pauses_and_a_click_into_the_curve_goes_there(browser: Any, sign: Path) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    opened(browser, sign)
    press(browser, "k")
    wait_for(browser, lambda now: now["at"] >= 2, within=10.0)
    press(browser, "k")
    paused = browser.execute_script(SEEN)
    time.sleep(0.6)
    same(paused, browser.execute_script(SEEN), "at")
    ActionChains(browser).move_to_element(browser.find_element(By.CSS_SELECTOR, "#information svg")).click().perform()
    assert browser.execute_script(SEEN)["moment"].startswith("Exploration, step")


def test_light_and_dark(browser: Any, sign: Path) -> None:
    from selenium.webdriver.common.by import By

    opened(browser, sign)
    paper = "return getComputedStyle(document.body).backgroundColor"
    before = browser.execute_script(paper)
    browser.find_element(By.ID, "theme").click()
    assert browser.execute_script(paper) != before
    browser.find_element(By.ID, "theme").click()
    assert browser.execute_script(paper) == before


def test_methods_of_a_comparison(browser: Any, comparison: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    first = opened(browser, comparison)
    choice = Select(browser.find_element(By.ID, "method"))
    names = [option.text for option in choice.options]
    assert names[0] == "dream, seed 0" and sorted(names[1:]) == [f"{method}, seed 0" for method in OTHERS]
    later = press(browser, Keys.ARROW_RIGHT, 2)
    differ(first, later, "explore", "information", "beliefs", "values", "space")
    last = click_on_track(browser, 1.0)
    differ(first, last, "explore", "execute")
    choice.select_by_visible_text("rl2, seed 0")
    other = wait_for(browser, lambda now: now["words"] != first["words"])
    hidden = "return ['information', 'beliefs', 'space'].map((name) => document.getElementById(name).hidden)"
    assert browser.execute_script(hidden) == [True, True, True]  # it has no z
    assert other["at"] == 0 and other["last"] > 0
    moved = press(browser, Keys.ARROW_RIGHT, 3)
    assert moved["at"] == 3
    assert len(browser.find_elements(By.CSS_SELECTOR, "#visits svg")) == len(METHODS)
    assert len(browser.find_elements(By.CSS_SELECTOR, "#swap td")) == SWAPPED**2
    no_complaints(browser)


def test_it_fits_a_narrow_window(browser: Any, comparison: Path) -> None:
    browser.set_window_size(500, 900)
    try:
        opened(browser, comparison)
        width, window = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert width <= window
    finally:
        browser.set_window_size(1300, 1000)
