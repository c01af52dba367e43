"""Rules of the code base: permitted imports, one package under one name, nothing of one machine in the tree."""

import ast
import importlib
import os
import re
import subprocess
import sys
import zipfile
from graphlib import CycleError, TopologicalSorter
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("envs", "exploration", "execution", "eval")
"""Top-level folders that are subpackages of `dream`."""

FLOORS = (
    {"errors", "importing"},
    {"spaces"},
    {"core", "envs"},
    {"config", "storage"},
    {"exploration", "execution"},
    {"methods"},
    {"eval"},
    {"training"},
    {"compare", "tools"},
    {"cli"},
    {"dream", "__main__"},
)
"""Parts of the package from the ground up. An import goes down, or stays on its floor but for the next two rules."""
ALONE = {"core", "envs", "exploration", "execution"}
"""Parts that import nothing else of their own floor."""
WITHOUT_TORCH = {"errors", "importing", "spaces", "envs", "config"}
"""Parts that never import torch: the environments by design, the others so that a bad argument fails at once."""


def imported_modules(source: str, package: str) -> set[str]:
    """Full names of everything a module imports, wherever in the file; its relative imports start from `package`.

    `from a import b` counts as `a.b`, as b may be a module; an import for type checkers only counts too.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join(parents[: len(parents) - node.level + 1] + ([base] if base else []))
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def part_of(module: str) -> str:
    """'dream.core.trial' -> 'core'; the package itself and the names defined in it -> 'dream'."""
    names = module.split(".")
    return names[1] if len(names) > 1 and any(names[1] in floor for floor in FLOORS) else names[0]


def floor_of(part: str) -> int:
    for height, parts in enumerate(FLOORS):
        if part in parts:
            return height
    raise AssertionError(f"dream/{part} stands on no floor yet: add it to FLOORS in {Path(__file__).name}")


def violations(module: str, source: str, is_package: bool = False) -> list[str]:
    """What the imports of one module break, as sentences."""
    package = module if is_package else module.rpartition(".")[0]
    part = part_of(module)
    broken = []
    for target in sorted(imported_modules(source, package)):
        top = target.split(".")[0]
        if top in FOLDERS:
            broken.append(f"{module} imports {target}: write dream.{target}")
        elif top == "torch" and part in WITHOUT_TORCH:
            broken.append(f"{module} imports torch: {part} does without")
        elif top == "dream":
            other = part_of(target)
            if other == part:
                continue
            if floor_of(other) > floor_of(part):
                broken.append(f"{module} imports {target}: an arrow runs up")
            elif floor_of(other) == floor_of(part) and part in ALONE:
                broken.append(f"{module} imports {target}: neighbours do not know each other")
            elif part == "core" and other not in ("errors", "spaces"):
                broken.append(f"{module} imports {target}: core imports core, spaces and the errors only")
    return broken


def package_modules() -> dict[str, Path]:
    """Every module of the package by its full name, found through the links."""
    found = {}
    for directory, _, names in os.walk(ROOT / "dream", followlinks=True):
        for name in names:
            if name.endswith(".py"):
                path = Path(directory, name)
                parts = path.relative_to(ROOT).with_suffix("").parts
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def test_imports_never_run_up_the_floors():
    broken = []
    for module, path in package_modules().items():
        if module != "dream":  # the package hands out names from every floor
            broken += violations(module, path.read_text(encoding="utf-8"), path.name == "__init__.py")
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("dream.core.trial", "import dream.envs.base"),
        ("dream.core.trial", "from dream import run"),
        ("dream.core.trial", "from dream.config import TrainConfig"),
        ("dream.core.trial", "from ..exploration import dream"),
        ("dream.envs.bus.family", "import torch"),
        ("dream.envs.bus.family", "def f():\n    from torch.nn import functional"),
        ("dream.envs.bus.family", "from dream.core import trial"),
        ("dream.exploration.decoupled", "from dream.execution import executor"),
        ("dream.execution.executor", "from dream import exploration"),
        ("dream.exploration.decoupled", "from dream.methods.registry import METHODS"),
        ("dream.methods.registry", "import dream.training.loop"),
        ("dream.training.loop", "from dream.cli import main"),
        ("dream.config", "import torch"),
        ("dream.training.loop", "from envs import bus"),
        ("dream.training.loop", "import eval.statistics"),
    ],
)
def test_the_checker_sees_a_violation(module: str, line: str):
    assert len(violations(module, line)) == 1


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("dream.core.trial", "import torch\nfrom dream.errors import UserError\nfrom . import replay"),
        ("dream.envs.bus.family", "import numpy\nfrom dream.envs.base import MetaEnv"),
        ("dream.exploration.decoupled", "from dream.core import trial\nfrom dream.envs import base"),
        ("dream.methods.registry", "from dream.exploration import decoupled\nfrom dream.execution import executor"),
        ("dream.cli", "from dream import training\nimport dream.eval.evaluate"),
    ],
)
def test_the_checker_lets_pass_what_is_allowed(module: str, line: str):
    assert violations(module, line) == []


def imports_between(modules: dict[str, str]) -> dict[str, set[str]]:
    """Module -> the modules of the package that it imports, from sources by full name ("a.__init__" is package a)."""
    names = {name.removesuffix(".__init__"): name for name in modules}
    graph: dict[str, set[str]] = {}
    for name, key in names.items():
        package = name if key.endswith(".__init__") else name.rpartition(".")[0]
        graph[name] = set()
        for target in imported_modules(modules[key], package):
            while target not in names and "." in target:
                target = target.rpartition(".")[0]
            if target in names and target != name:
                graph[name].add(target)
    return graph


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Import circles between the direct children (files or folders) of each folder."""
    found = []
    for folder in {".".join(name.split(".")[:depth]) for name in graph for depth in range(1, name.count(".") + 1)}:
        children: dict[str, set[str]] = {}
        for name, targets in graph.items():
            if name.startswith(f"{folder}."):
                child = name.removeprefix(f"{folder}.").split(".")[0]
                inside = {t.removeprefix(f"{folder}.").split(".")[0] for t in targets if t.startswith(f"{folder}.")}
                children.setdefault(child, set()).update(inside - {child})
        try:
            list(TopologicalSorter(children).static_order())
        except CycleError as circle:
            found.append({f"{folder}.{child}" for child in circle.args[1]})
    return found


def test_no_folder_holds_an_import_circle():
    sources = {
        f"{name}.__init__" if path.name == "__init__.py" else name: path.read_text(encoding="utf-8")
        for name, path in package_modules().items()
        if name != "dream"  # the package hands out names from every floor
    }
    assert circles(imports_between(sources)) == []


def test_circles_are_found_between_files_and_between_folders():
    files = {"dream.a": "import dream.b", "dream.b": "from dream import c", "dream.c": "from dream.a import x"}
    assert circles(imports_between(files)) == [{"dream.a", "dream.b", "dream.c"}]
    folders = {"dream.a.x": "import dream.b.x", "dream.b.x": "", "dream.b.y": "from dream.a import x"}
    assert circles(imports_between(folders)) == [{"dream.a", "dream.b"}]
    assert circles(imports_between({**files, "dream.c": ""})) == []


def test_nothing_imports_the_folders_by_their_bare_names():
    broken = []
    for folder in ("tests", "benchmarks", "docs", "results"):
        for path in (ROOT / folder).rglob("*.py"):
            tops = {name.split(".")[0] for name in imported_modules(path.read_text(encoding="utf-8"), "")}
            broken += [f"{path.relative_to(ROOT)} imports {name}: write dream.{name}" for name in tops & set(FOLDERS)]
    assert not broken, "\n".join(broken)


def private_names(source: str) -> list[str]:
    """The private names of others that a module reads, imports or patches, each with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            own |= isinstance(node.value, ast.Call) and ast.unparse(node.value) == "super()"
            names = [] if own else [node.attr]
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".setattr"):
            names = [word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
        else:
            continue
        found += [f"{node.lineno}: {name}" for name in names if re.search(r"(^|\.)_[a-z]\w*[^\W_]$", name)]
    return found


def test_tests_use_public_names_only():
    files = sorted((ROOT / "tests").glob("*.py"))
    broken = [f"{path.name}:{name}" for path in files for name in private_names(path.read_text(encoding="utf-8"))]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("method._update(3)", True),
        ("from dream.core.qlearning import _cut", True),
        ('monkeypatch.setattr(method, "_factor_table", 3)', True),
        ('patch.setattr("dream.training.loop._save", 3)', True),
        ("self._x = super()._begin() + cls._y", False),
        ("shown._repr_html_() + module.__doc__", False),
        ('monkeypatch.setattr(method, "reward", 3)', False),
    ],
)
def test_the_check_of_private_names(line: str, seen: bool):
    assert bool(private_names(line)) == seen


def test_the_four_links_are_relative():
    for folder in FOLDERS:
        assert os.readlink(ROOT / "dream" / folder) == f"../{folder}"


def run_python(code: str, cwd: Path, *paths: Path) -> str:
    """Output of `python -c code`, run away from the repository with `paths` searched first."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the files git would commit, without a network."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        origin, copy = ROOT / name, source / name
        if origin.exists() and not name.startswith("results/"):
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(os.readlink(origin)) if origin.is_symlink() else copy.write_bytes(origin.read_bytes())
    command = ["pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q", "-w", str(target), str(source)]
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return next(target.glob("*.whl"))


def test_a_wheel_holds_every_module_once_and_imports(wheel: Path, tmp_path: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    expected = {name.replace(".", "/") for name in package_modules()}
    modules = {name.removesuffix("/__init__.py").removesuffix(".py") for name in names if name.endswith(".py")}
    assert modules == expected
    assert "dream/py.typed" in names
    trained = [str(path.relative_to(ROOT)) for path in (ROOT / "dream/pretrained").rglob("*") if path.is_file()]
    assert trained and set(trained) <= set(names)
    printed = run_python("import dream.envs; print(dream.envs.__file__)", tmp_path, tmp_path / "site")
    assert Path(printed) == tmp_path / "site" / "dream" / "envs" / "__init__.py"


def test_the_installed_package_is_this_checkout(tmp_path: Path):
    """`make test` installs in editable mode: from anywhere, `import dream` is this tree."""
    try:
        origin = metadata.distribution("dream-metarl").read_text("direct_url.json") or ""
    except metadata.PackageNotFoundError:
        origin = ""
    if f'"{ROOT.as_uri()}"' not in origin:
        pytest.skip("another checkout is installed, or none")
    printed = run_python("import dream.envs; print(dream.envs.__file__)", tmp_path)
    assert Path(printed).resolve() == ROOT / "envs" / "__init__.py"


def test_processes_of_tests_import_this_checkout(tmp_path: Path):
    """Whatever is installed: `conftest` sets PYTHONPATH for them."""
    code = "import dream.envs; print(dream.envs.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert Path(done.stdout.strip()) == ROOT / "dream" / "envs" / "__init__.py"


def test_import_dream_registers_the_families_without_torch(tmp_path: Path):
    code = (
        "import sys, dream, gymnasium\n"
        "assert 'torch' not in sys.modules\n"
        "print(*sorted(name for name in gymnasium.registry if name.startswith('dream/')))"
    )
    assert {"dream/Bus-v0", "dream/Cooking-v0", "dream/Map-v0"} <= set(run_python(code, tmp_path, ROOT).split())


def test_the_package_exports_its_names_and_no_others():
    import dream

    assert all(getattr(dream, name) is not None for name in dream.__all__)
    assert set(dir(dream)) == set(dream.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = dream.trian


def names_imported_in_docs() -> list[tuple[str, str, str]]:
    """(page, module, name) of every `from dream... import name` in a Python example of the README or docs/."""
    found = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "dream":
                    found += [(page.name, str(node.module), alias.name) for alias in node.names]
    return found


def test_the_package_hands_out_every_name_that_a_page_imports():
    import dream

    imported = names_imported_in_docs()
    assert len(imported) > 10
    missing = [f"{page}: {module}.{name}" for page, module, name in imported if name not in dream.__all__]
    assert not missing
    for _, module, name in imported:
        assert getattr(dream, name) is getattr(importlib.import_module(module), name)


def test_no_file_names_a_place_on_one_machine():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    place = re.compile(r"(?<![\w./])/(?:home|root|work|Users)/\w+")
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and not path.is_symlink() and path.suffix not in {".png", ".webm", ".npz", ".safetensors"}:
            for number, line in enumerate(path.read_text(encoding="utf-8", errors="ignore").splitlines(), 1):
                if place.search(line):
                    found.append(f"{name}:{number}: {line.strip()}")
    assert not found, "\n".join(found)
