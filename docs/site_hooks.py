"""Hooks of mkdocs.yml: pages outside docs/, links to source files, and the API reference.

README.md becomes the first page, so the pages read the same in the repository and on the site. The API reference gets a
page for each module below `PACKAGES`; nothing of it is committed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
ROOT_PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "CONTRIBUTING.md", "CHANGELOG.md": "CHANGELOG.md"}
PACKAGES = (
    "dream",
    "dream.config",
    "dream.core",
    "dream.methods",
    "dream.exploration",
    "dream.execution",
    "dream.envs",
    "dream.training",
    "dream.storage",
    "dream.eval",
    "dream.compare",
    "dream.tools",
    "dream.cli",
)
"""Packages of the API reference, in the order of the navigation."""
ALONE = ("dream",)
"""Packages of which only the modules directly inside are taken, as the others are listed themselves."""


def modules(package: str) -> list[str]:
    """Importable names of a package and of the modules inside that have a docstring worth a page, sorted."""
    folder = ROOT.joinpath(*package.split("."))
    if not folder.is_dir():
        return []
    inside = folder.glob("*.py") if package in ALONE else folder.rglob("*.py")
    names = []
    for path in sorted(inside):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if not any(part.startswith("_") for part in parts) and len(path.read_text("utf-8").splitlines()) > 2:
            names.append(".".join(parts))
    return sorted(names)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the API reference into the navigation."""
    reference: list[Any] = []
    for package in PACKAGES:
        names = modules(package)
        reference.append({package: [{name: f"api/{name}.md"} for name in names]})
    config.nav = [*(config.nav or []), {"API": [part for part in reference if next(iter(part.values()))]}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages at the root of the repository, other files they link to, and the API reference."""
    for source, target in ROOT_PAGES.items():
        files.append(File.generated(config, target, content=(ROOT / source).read_text("utf-8")))
    for source in ("LICENSE", "CITATION.cff", "examples/quickstart.ipynb"):
        files.append(File.generated(config, source, content=(ROOT / source).read_text("utf-8")))
    for package in PACKAGES:
        for name in modules(package):
            files.append(File.generated(config, f"api/{name}.md", content=f"::: {name}\n"))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links between README and docs/, which are one folder apart in the repository and none on the site."""
    if page.file.src_uri in ROOT_PAGES.values():
        return re.sub(r"\]\(docs/", "](", markdown)
    for source, target in ROOT_PAGES.items():
        markdown = markdown.replace(f"](../{source}", f"]({target}")
    return markdown.replace("](../", "](")
