"""The documentation site: builds without warnings, needs no server, and has a page for every public module."""

import importlib
import json
import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the documentation extra is not installed: pip install -e '.[docs]'")

from mkdocs.commands.build import build
from mkdocs.config import load_config

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build in which a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    return folder


def test_every_page_and_the_readme_are_part_of_the_site(site: Path) -> None:
    for name in ("index", *PAGES, "CONTRIBUTING", "CHANGELOG"):
        assert (site / f"{name}.html").is_file(), f"{name} is missing: add it to nav in mkdocs.yml"
    assert "learn to explore, then act" in (site / "index.html").read_text(encoding="utf-8")


def test_the_pages_load_nothing_from_a_server(site: Path) -> None:
    loaded = re.compile(r'<(?:script|link|img|iframe)\b[^>]*(?:src|href)="?(https?://[^" >]+)')
    for page in site.rglob("*.html"):
        assert loaded.findall(page.read_text(encoding="utf-8")) == [], page.name


def test_links_to_files_outside_of_docs_lead_somewhere(site: Path) -> None:
    for page in site.glob("*.html"):
        if page.name == "404.html":  # its links are absolute, for a server
            continue
        for target in re.findall(r'href="([^"#:]+)(?:#[^"]*)?"', page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"


@pytest.mark.parametrize(
    "name",
    [
        "dream",
        "dream.core.trial",
        "dream.core.bottleneck",
        "dream.methods.protocol",
        "dream.exploration.base",
        "dream.execution.executor",
        "dream.envs.base",
        "dream.eval.evaluate",
    ],
)
def test_the_reference_has_the_docstrings_of_a_module(site: Path, name: str) -> None:
    (first, *_) = (importlib.import_module(name).__doc__ or "").split(".")
    html = (site / "api" / f"{name}.html").read_text(encoding="utf-8")
    text = " ".join(re.sub(r"<[^>]+>", "", html).replace("&#39;", "'").replace("&quot;", '"').split())
    assert " ".join(first.replace("`", "").split()[:5]) in text


def test_pages_and_reference_can_be_searched(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    places = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert {"glossary.html", "api/dream.core.trial.html"} <= places


@pytest.mark.skipif(
    shutil.which("chromium") is None or shutil.which("chromedriver") is None, reason="Chromium is not installed"
)
def test_the_search_finds_a_page_opened_as_a_file(site: Path, tmp_path: Path) -> None:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    switches = ["headless", "no-sandbox", "disable-gpu", "disable-background-networking", "disable-component-update"]
    for switch in [*switches, "disable-sync", "no-first-run", f"user-data-dir={tmp_path / 'profile'}"]:
        options.add_argument(f"--{switch}")
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        browser.set_window_size(1400, 900)
        browser.get((site / "api" / "dream.core.trial.html").as_uri())
        field = WebDriverWait(browser, 20).until(lambda b: b.find_element(By.CSS_SELECTOR, ".md-search__input"))
        WebDriverWait(browser, 20).until(lambda b: field.is_displayed())
        field.click()
        field.send_keys("glossary")
        links = WebDriverWait(browser, 20).until(lambda b: b.find_elements(By.CSS_SELECTOR, ".md-search-result__link"))
        assert any("glossary.html" in str(link.get_attribute("href")) for link in links)
    finally:
        browser.quit()
