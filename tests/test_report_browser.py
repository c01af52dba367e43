"""Reports opened in a real browser without a window: what a reader does, and what changes then."""

import importlib.util
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dream import cli
from dream.eval.pretrained import pretrained
from dream.eval.report import build
from dream.eval.report.build import write_report

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="no browser: install the packages chromium and chromium-driver to run the tests of the report in it",
)
OTHERS = ("oracle", "random", "rl2")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1300,1000",
)
SEEN = """
    const of = (selector) => document.querySelector(selector);
    const html = (selector) => of(selector).innerHTML;
    return {
        explore: of("#explore .picture").toDataURL(), execute: of("#execute .picture").toDataURL(),
        saw: of("#explore .large").toDataURL(), sees: of("#execute .large").toDataURL(),
        moment: of("#moment").textContent, at: Number(of("#scrubber").value), last: Number(of("#scrubber").max),
        information: html("#information"), beliefs: html("#beliefs"), values: html("#values"), space: html("#space"),
        words: of("#words").textContent, later: of("#execute").classList.contains("later"),
        trial: of("#trial").value, taken: (of("#values .taken span") || {}).textContent,
    };
"""


GO = """
    const scrubber = document.querySelector("#scrubber");
    scrubber.value = arguments[0];
    scrubber.dispatchEvent(new Event("input"));
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


DESKTOP, PHONE = (1400, 900), (390, 844)


@contextmanager
def screen(browser: Any, size: tuple[int, int], dark: bool = False) -> Iterator[None]:
    """The browser with a window of this size, in the light or in the dark."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
    theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})
    yield
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def axe_source() -> str | None:
    """axe-core: the file named in the environment variable AXE_CORE, else that of the package axe-core-python."""
    if named := os.environ.get("AXE_CORE"):
        return Path(named).read_text(encoding="utf-8")
    found = importlib.util.find_spec("axe_core_python")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def sign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "sign.html"
    write_report([pretrained("sign")], path, trials=4)
    return path


@pytest.fixture(scope="module", params=["bus", "cooking", "sign"])
def shipped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / f"{request.param}.html"
    write_report([pretrained(request.param)], path, trials=3)
    return path


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pretrained pair on bus beside barely trained runs of others, all but one in the swap matrix."""
    folder = tmp_path_factory.mktemp("compared")
    shutil.copytree(pretrained("bus"), folder / "bus" / "dream" / "s0")
    for method in OTHERS:
        debug = ["--preset", "debug", "--steps", "600", "--run-dir", str(folder / "bus" / method / "s0")]
        assert cli.run(["train", method, "--env", "bus", *debug]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "SWAPPED", len(OTHERS))
        page = write_report([folder / "bus"], folder / "report.html", trials=2)
    assert any("the swap matrix has the first 3 methods only" in sentence for sentence in page.missing)
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
    """How much slower this machine is now than an idle core, by a loop that takes 0.1 s there; at least 1."""
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
    assert start["at"] == 0 and start["moment"] == "Exploration, start" and start["later"]
    later = press(browser, Keys.ARROW_RIGHT, 4)
    assert later["at"] == 4 and later["moment"].startswith("Exploration, step 4")
    differ(
        start, later, "explore", "saw", "information", "beliefs", "values", "space"
    )  # the map with the way, the frame
    same(start, later, "execute", "sees")
    back = press(browser, Keys.ARROW_LEFT, 4)
    same(start, back, *start)  # the same picture after going back, though pictures hold only what changed

    executing = click_on_track(browser, 1.0)
    assert executing["at"] == executing["last"] and "return 1.00" in executing["moment"] and not executing["later"]
    differ(start, executing, "explore", "execute", "saw", "sees", "information", "beliefs", "space")
    half = click_on_track(browser, 0.5)
    assert abs(half["at"] - half["last"] / 2) <= 1
    browser.find_element(By.ID, "scrubber").send_keys(Keys.HOME)
    same(start, browser.execute_script(SEEN), "at", "explore", "later")
    browser.find_element(By.ID, "scrubber").send_keys(Keys.END)
    same(executing, browser.execute_script(SEEN), "at", "explore", "execute", "moment")

    other = press(browser, "n")
    other = wait_for(browser, lambda now: now["words"] != start["words"])
    assert other["at"] == 0
    no_complaints(browser)


def test_the_agents_frames_are_enlarged_without_blur(browser: Any, sign: Path) -> None:
    opened(browser, sign)
    width, shown, rendering = browser.execute_script(
        "const seen = document.querySelector('#explore .large');"
        "return [seen.width, seen.getBoundingClientRect().width, getComputedStyle(seen).imageRendering]"
    )
    assert width == 80 and shown == 240 and rendering == "pixelated"


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
    assert len(browser.find_elements(By.CSS_SELECTOR, "#visits svg")) == 1 + len(OTHERS)
    assert len(browser.find_elements(By.CSS_SELECTOR, "#swap td")) == len(OTHERS) ** 2
    no_complaints(browser)


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_scrubber_picture_and_belief_are_in_view_without_scrolling(
    browser: Any, shipped: Path, size: tuple[int, int]
) -> None:
    with screen(browser, size):
        opened(browser, shipped)
        for at in (0, 1, 5, 9_999):
            browser.execute_script(GO, at)
            boxes = browser.execute_script(
                "const shown = [...document.querySelectorAll('canvas.picture')].filter((one) => one.offsetParent);"
                "const every = [document.getElementById('scrubber'), ...shown, document.getElementById('beliefs')];"
                "return every.map((one) => one.getBoundingClientRect().toJSON())"
            )
            assert len(boxes) >= 3
            for box in boxes:
                assert box["width"] > 100 and box["left"] >= 0 and box["right"] <= size[0], box
                assert box["top"] >= 0 and box["bottom"] <= size[1], box


def test_no_picture_is_ever_covered(browser: Any, sign: Path) -> None:
    covered = """
        const found = [];
        for (const picture of document.querySelectorAll("canvas.picture")) {
            if (!picture.offsetParent) continue;
            const box = picture.getBoundingClientRect();
            for (const x of [0.02, 0.5, 0.98]) for (const y of [0.02, 0.5, 0.98]) {
                const at = [box.left + x * box.width, box.top + y * box.height];
                if (at[1] < 0 || at[1] >= innerHeight) continue;
                const top = document.elementFromPoint(...at);
                if (!top.closest(".screen")) found.push([at, top.outerHTML.slice(0, 80)]);
            }
        }
        return found;
    """
    for size in (DESKTOP, PHONE, (1300, 500)):
        with screen(browser, size):
            opened(browser, sign)
            browser.execute_script(GO, 9_999)
            for scrolled in range(0, 900, 60):
                browser.execute_script("scrollTo(0, arguments[0])", scrolled)
                assert browser.execute_script(covered) == []


def test_values_and_reward_belong_to_the_action_that_is_named(browser: Any, shipped: Path) -> None:
    start = opened(browser, shipped)
    assert start["taken"] is None and "before the first step" in start["values"]
    trial = browser.execute_script("return JSON.parse(document.getElementById('trial-0-0').textContent)")
    episodes = trial["episodes"]
    at = 0
    for episode in episodes:
        for slot in range(len(episode["pictures"])):
            browser.execute_script(GO, at)
            seen = browser.execute_script(SEEN)
            if slot:
                name = episode["action"][slot - 1]
                assert seen["taken"] == name and f": {name}, " in seen["moment"]
                ends = [end for _, end, _ in episode["bars"][slot - 1]]
                [taken] = episode["taken"][slot - 1]
                assert ends[taken] == max(ends)  # the policies are greedy
            if slot and episode["phase"] == "execute":
                reward = episode["reward"][slot - 1]
                assert f"reward {reward:+.2f}" in seen["moment"]
            at += 1


def test_what_was_not_observed_is_hidden_until_the_truth_is_asked_for(browser: Any, shipped: Path) -> None:
    start = opened(browser, shipped)
    framed = "return document.querySelectorAll('#beliefs .truth').length"
    assert browser.execute_script(framed) == 0
    shown = press(browser, "t")
    differ(start, shown, "explore", "beliefs")
    opaque = "return document.querySelector('#explore .picture').getContext('2d').getImageData(2, 2, 1, 1).data[3]"
    assert browser.execute_script(opaque) == 255  # what does not differ from the other picture is drawn, too
    parts = browser.execute_script("return document.querySelectorAll('.belief').length")
    assert browser.execute_script(framed) == parts > 0
    later = press(browser, "n")
    later = wait_for(browser, lambda now: now["trial"] != shown["trial"] and now["words"] != shown["words"])
    assert browser.execute_script(framed) == parts  # it stays on
    press(browser, "p")
    wait_for(browser, lambda now: now["words"] == start["words"])
    same(start, press(browser, "t"), "explore", "beliefs")
    browser.execute_script(GO, 9_999)
    whole = browser.execute_script(SEEN)
    differ(start, whole, "explore", "beliefs")
    assert later["trial"] != start["trial"]


def test_trials_are_chosen_by_instruction_length_and_outcome(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    write_report([pretrained("sign")], tmp_path / "sign.html")
    with screen(browser, DESKTOP):
        start = opened(browser, tmp_path / "sign.html")
        index = json.loads(browser.execute_script("return document.getElementById('methods').textContent"))[0]["trials"]
        trials = Select(browser.find_element(By.ID, "trial"))
        assert len(trials.options) == len(index) == 12
        outcome = Select(browser.find_element(By.ID, "by-outcome"))
        failed = [number for number, trial in enumerate(index) if trial["outcome"] == "failure"]
        assert failed and f"failure ({len(failed)})" in [option.text for option in outcome.options]
        outcome.select_by_value("failure")
        assert [int(option.get_attribute("value")) for option in trials.options] == failed
        opened_one = wait_for(browser, lambda now: now["words"] != start["words"])
        assert int(opened_one["trial"]) == failed[0]
        kinds = Select(browser.find_element(By.ID, "by-instruction"))
        for option in kinds.options[1:]:  # what would leave nothing cannot be chosen
            left = [number for number in failed if index[number]["instruction"] == option.get_attribute("value")]
            assert option.is_enabled() == bool(left) and option.text.endswith(f"({len(left)})")
        outcome.select_by_value("")
        length = Select(browser.find_element(By.ID, "by-length"))
        for option in [option.get_attribute("value") for option in length.options[1:]]:
            length.select_by_value(option)
            low, *high = (int(word) for word in option.split() if word.isdigit())
            expected = [n for n, trial in enumerate(index) if low <= trial["steps"][0] <= (high or [low])[0]]
            assert [int(one.get_attribute("value")) for one in trials.options] == expected


def test_pictures_are_dark_in_the_dark_but_frames_are_not_changed(browser: Any, sign: Path) -> None:
    filters = """
        const style = (name) => getComputedStyle(document.querySelector(name)).filter;
        return [style("#explore .picture"), style("#explore .photo"), style("#explore .large")];
    """
    with screen(browser, DESKTOP):
        opened(browser, sign)
        assert browser.execute_script(filters) == ["none"] * 3
    with screen(browser, DESKTOP, dark=True):
        opened(browser, sign)
        picture, photo, seen = browser.execute_script(filters)
        assert picture.startswith("invert") and photo == seen == "none"


@pytest.mark.skipif(
    axe_source() is None, reason="no axe-core: install the development extra, or set AXE_CORE to axe.min.js"
)
@pytest.mark.parametrize(
    ("name", "size", "dark"),
    [
        *(("sign", size, dark) for size in (DESKTOP, PHONE) for dark in (False, True)),
        ("comparison", DESKTOP, False),
        ("comparison", PHONE, True),
    ],
)
def test_axe_finds_no_violation(
    browser: Any, request: pytest.FixtureRequest, name: str, size: tuple[int, int], dark: bool
) -> None:
    with screen(browser, size, dark):
        opened(browser, request.getfixturevalue(name))
        browser.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        browser.execute_script(axe_source())
        found = browser.execute_async_script("axe.run().then(arguments[0])")
        assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]] == []
        assert len(found["passes"]) > 30


@pytest.mark.parametrize("width", [390, 500, 1000])
def test_it_fits_a_narrow_window(browser: Any, comparison: Path, width: int) -> None:
    with screen(browser, (width, 900)):
        opened(browser, comparison)
        page, window = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert page <= window


def test_a_policy_that_learned_by_ppo_shows_its_distribution_and_value(browser: Any, tmp_path: Path) -> None:
    run = tmp_path / "beacon" / "dream" / "s0"
    debug = ["--preset", "debug", "--steps", "600", "--run-dir", str(run)]
    assert cli.run(["train", "dream", "--env", "beacon", *debug]) == 0
    write_report([run], tmp_path / "report.html", trials=2)
    start = opened(browser, tmp_path / "report.html")
    assert (
        "<strong>Action distribution</strong>" in start["values"] and "before the first step; value" in start["values"]
    )
    assert start["values"].count("±") == 2 and start["taken"] is None
    browser.execute_script(GO, 1)
    later = browser.execute_script(SEEN)
    assert later["taken"] == "x" and "when step 1 was chosen; value" in later["values"]
    assert ", step 1: x " in later["moment"]
