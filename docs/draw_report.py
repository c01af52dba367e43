"""Take the screenshots of docs/report.md: reports opened in headless Chromium.

Run `python docs/draw_report.py REPORT.html IMAGE.png [--moment N] [--dark] [--scale X] [--section NAME]`; it
needs the packages chromium and chromium-driver, and selenium from the development extra.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking")
WIDTH = 1300


def main() -> None:
    """Open a report, go to a moment of its first trial, and write a picture of one section or of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--moment", type=int, default=0, help="steps of the scrubber")
    parser.add_argument("--method", type=int, default=0, help="number of the method to show")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--scale", type=float, default=1.0, help="of the picture")
    parser.add_argument("--section", help="such as player; default: the whole page")
    given = parser.parse_args()

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS, f"--window-size={WIDTH},1000"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        browser.get(given.report.resolve().as_uri())
        browser.execute_script(f"document.documentElement.dataset.theme = '{'dark' if given.dark else 'light'}'")
        time.sleep(1.0)
        for _ in range(given.method):
            browser.find_element(By.TAG_NAME, "body").send_keys("m")
            time.sleep(1.0)
        for _ in range(given.moment):
            browser.find_element(By.ID, "scrubber").send_keys(Keys.ARROW_RIGHT)
        browser.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
        browser.set_window_size(WIDTH, browser.execute_script("return document.documentElement.scrollHeight") + 200)
        time.sleep(0.5)
        shown = browser.find_element(By.ID, given.section) if given.section else browser
        (shown.screenshot if given.section else browser.save_screenshot)(str(given.image))
        # A palette halves the file, and drawings have few colours.
        image = Image.open(given.image).convert("RGB")
        size = round(given.scale * image.width), round(given.scale * image.height)
        image.resize(size, Image.Resampling.LANCZOS).quantize(256).save(given.image, optimize=True)
    finally:
        browser.quit()


if __name__ == "__main__":
    main()
