"""Objects named by package.module:NAME."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dream
from dream.errors import UserError
from dream.importing import load_object
from dream.methods.registry import find_method


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder that is not on `sys.path`, as for the console script."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def test_a_module_in_the_current_folder_is_found_and_the_path_left_as_it_was(folder: Path):
    (folder / "found_in_the_folder.py").write_text("import found_beside_it\nANSWER = found_beside_it.VALUE + 1\n")
    (folder / "found_beside_it.py").write_text("VALUE = 41\n")
    before = list(sys.path)
    assert load_object("found_in_the_folder:ANSWER") == 42
    assert sys.path == before


def test_a_method_in_the_current_folder_is_found(folder: Path):
    source = "from dream.methods.spec import explorer\nMINE = explorer('mine', reward=lambda trials, belief: None)\n"
    (folder / "method_in_the_folder.py").write_text(source)
    assert find_method("method_in_the_folder:MINE").summary == "mine"


@pytest.mark.parametrize("path", ["", "math", ":pi", "math:", "no_such_module:x", "math:no_such_name", ".math:pi"])
def test_objects_that_cannot_be_loaded_are_refused_by_path(folder: Path, path: str):
    with pytest.raises(UserError, match=f"cannot load {path!r}"):
        load_object(path)


def test_an_error_inside_the_module_is_part_of_the_sentence(folder: Path):
    (folder / "broken_in_the_folder.py").write_text("1 / 0\n")
    before = list(sys.path)
    with pytest.raises(UserError, match=r"cannot load 'broken_in_the_folder:x': ZeroDivisionError"):
        load_object("broken_in_the_folder:x")
    assert sys.path == before


def test_a_clone_without_symbolic_links_says_what_is_wrong(tmp_path: Path) -> None:
    """As git writes it on Windows: a text file with the target in place of each link."""
    root = Path(dream.__file__).parents[1]
    shutil.copytree(root / "dream", tmp_path / "dream", symlinks=True, ignore=shutil.ignore_patterns("pretrained"))
    for link in filter(Path.is_symlink, list((tmp_path / "dream").iterdir())):
        target = os.readlink(link)
        link.unlink()
        link.write_text(target)
    done = subprocess.run(
        [sys.executable, "-c", "import dream"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith(
        f"ImportError: {tmp_path / 'dream' / 'envs'} should be a symbolic link"
    )
    assert "git clone -c core.symlinks=true" in last
