"""Take the screenshots of docs/report.md: reports opened in headless Chromium.

Run `python docs/draw_report.py REPORT.html IMAGE.png [--moment N] [--method N] [--truth] [--phone] [--dark] [--scale X]
[--section NAME]`. With raw results, such as results/bus.csv, in place of a report, a page with their scores is made
first (`--methods` chooses some). It needs the packages chromium and chromium-driver, and selenium from the development
extra.
"""

from __future__ import annotations

import argparse
import base64
import csv
import io
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from selenium import webdriver

from dream.eval.compare.summary import read_runs, summarise
from dream.eval.report.page import Page, render
from dream.eval.report.scores import scores_section

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking")
DESKTOP, PHONE = (1400, 900), (390, 844)


def main() -> None:
    """Open a report, go to a moment of its first trial, and write a picture of the window or of one section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, help="a report, or a CSV of raw results")
    parser.add_argument("image", type=Path)
    parser.add_argument("--moment", type=int, default=0, help="position of the scrubber")
    parser.add_argument("--method", type=int, default=0, help="number of the method to show")
    parser.add_argument("--methods", nargs="*", help="of the raw results; default: all")
    parser.add_argument("--truth", action="store_true", help="show the hidden truth")
    parser.add_argument("--phone", action="store_true")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--scale", type=float, default=1.0, help="of the picture")
    parser.add_argument("--section", help="such as scores; default: the window")
    given = parser.parse_args()

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in FLAGS:
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    with tempfile.TemporaryDirectory() as folder:
        page = given.report
        if page.suffix == ".csv":
            page = Path(folder, "scores.html")
            page.write_text(scores_page(given.report, given.methods), encoding="utf-8")
        try:
            take(browser, page, given)
        finally:
            browser.quit()


def scores_page(results: Path, methods: Sequence[str] | None) -> str:
    """A report with nothing but the scores of raw results."""
    with results.open(encoding="utf-8", newline="") as file:
        rows: list[dict[str, Any]] = [
            {**row, "seed": int(row["seed"]), "step": int(row["step"]), "value": float(row["value"])}
            for row in csv.DictReader(file)
            if not methods or row["method"] in methods
        ]
    runs = read_runs(rows)
    summaries = sorted(summarise(runs), key=lambda summary: -summary.iqm.value)
    order = [summary.method for summary in summaries]
    runs.sort(key=lambda run: order.index(run.method))
    return render(Page(results.stem, [], scores_html=scores_section(runs, summaries)))


def take(browser: Any, page: Path, given: argparse.Namespace) -> None:
    """Write the picture."""
    width, height = PHONE if given.phone else DESKTOP
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": given.phone}
    theme = {"name": "prefers-color-scheme", "value": "dark" if given.dark else "light"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})
    browser.get(page.resolve().as_uri())
    time.sleep(1.0)
    if given.section != "scores":
        browser.execute_script(
            "const [method, moment, truth] = arguments;"
            "const set = (name, value, what) => {"
            "  const one = document.getElementById(name); one.value = value; one.dispatchEvent(new Event(what)); };"
            "set('method', method, 'change');"
            "if (truth) document.getElementById('truth').click();"
            "setTimeout(() => set('scrubber', moment, 'input'), 700);",
            given.method,
            given.moment,
            given.truth,
        )
        time.sleep(1.2)
    options: dict[str, Any] = {"format": "png"}
    if given.section:
        box = browser.execute_script(
            "const box = document.getElementById(arguments[0]).getBoundingClientRect();"
            "return {x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height};",
            given.section,
        )
        options |= {"captureBeyondViewport": True, "clip": {**box, "scale": 1}}
    content = base64.b64decode(browser.execute_cdp_cmd("Page.captureScreenshot", options)["data"])
    # A palette halves the file, and drawings have few colours; by default rare ones, such as red, would be lost.
    image = Image.open(io.BytesIO(content)).convert("RGB")
    size = round(given.scale * image.width), round(given.scale * image.height)
    small = image.resize(size, Image.Resampling.LANCZOS)
    small.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=2).save(given.image, optimize=True)


if __name__ == "__main__":
    main()
