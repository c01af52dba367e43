"""The documentation keeps its word: commands parse, links lead somewhere, examples run and print what they say."""

import ast
import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import tyro

from dream import cli
from dream.cli.checks import check_config
from dream.config import TrainConfig
from dream.errors import UserError
from dream.eval.evaluate import load_method
from dream.labels import parse_labels
from dream.methods import METHODS
from dream.pair import PairRules

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
EXPLORER = ROOT / "docs" / "add-an-explorer.md"
"""Its commands name a method that the page makes; a test of its own runs them."""
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
MARKERS = ("results", "speed")
PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced code blocks of a page in one of the languages."""
    found = re.findall(r"^```(.*)\n((?:.*\n)*?)```", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [code for language, code in found if language in languages]


def prose(page: Path) -> str:
    """A page without its fenced code blocks."""
    return re.sub(r"^```.*\n(?:.*\n)*?```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)


def spans(page: Path) -> list[str]:
    """What stands between backticks in the prose."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(page))]


def shell_commands(page: Path) -> Iterator[list[str]]:
    """The words of every command in the shell blocks of a page."""
    for line in "".join(blocks(page, "bash", "sh", "console")).replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in [*shlex.split(line, comments=True), "&&"]:
            if word in ("&&", ";", "|"):
                yield words
                words = []
            else:
                words.append(word)


def dream_commands(page: Path) -> list[list[str]]:
    """The arguments of every `dream ...` in the shell blocks of a page."""
    prefixes = (["dream"], ["python", "-m", "dream"])
    return [
        words[len(prefix) :] for words in shell_commands(page) for prefix in prefixes if words[: len(prefix)] == prefix
    ]


class _Parsed(Exception):
    """Carries the arguments out of a command that would go on to run."""


def parsed(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the command line makes of the arguments. Raises UserError or AssertionError for what it refuses."""
    parse = tyro.cli

    def stop(*given: Any, **named: Any) -> Any:
        raise _Parsed(parse(*given, **named))

    with monkeypatch.context() as patch:
        patch.setattr(tyro, "cli", stop)
        assert arguments[0] in cli.COMMANDS, f"unknown command {arguments[0]!r}"
        try:
            cli.find_command(arguments[0])(arguments[1:])
        except _Parsed as got:
            return got.args[0]
    raise AssertionError(f"{arguments} was refused before it was parsed")


def help_of(command: str) -> str:
    text = io.StringIO()
    with contextlib.redirect_stdout(text), pytest.raises(SystemExit):
        cli.run([command, "--help"])
    return text.getvalue()


@PAGE
def test_commands_are_accepted(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in dream_commands(page):
        given = parsed(arguments, monkeypatch)
        if arguments[0] == "train":
            assert given.config.method in METHODS or page == EXPLORER
            check_config(given.config)
        if arguments[0] == "compare":
            assert {label.method for label in parse_labels(given.methods)} <= set(METHODS) or page == EXPLORER
            assert all((ROOT / path).is_file() for path in given.from_)
        for family in given.env if arguments[0] in ("bench", "compare") else ():
            check_config(TrainConfig(env=family))


def test_the_readme_shows_every_command() -> None:
    assert {arguments[0] for arguments in dream_commands(README)} == set(cli.COMMANDS)


@pytest.mark.parametrize("wrong", ["trian dream", "train dream --stepz 5", "eval run --split tset", "bench --sec 1"])
def test_the_check_sees_a_wrong_command(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((AssertionError, UserError)):
        parsed(wrong.split(), monkeypatch)


def test_commands_and_options_in_the_text_exist() -> None:
    helps = {command: help_of(command) for command in cli.COMMANDS}
    for page in PAGES:
        for span in spans(page):
            words = span.split()
            if words[0] == "dream" and len(words) > 1:
                assert words[1] in cli.COMMANDS, f"{page.name}: {span}"
            known = helps[words[1]] if words[0] == "dream" and len(words) > 1 else "".join(helps.values())
            for option in re.findall(r"(?<!\S)--[a-z][\w.-]*", span) if words[0] in ("dream", span) else ():
                assert option in known, f"{page.name}: {span}"


def test_settings_in_the_text_exist() -> None:
    groups = "trial|bottleneck|network|explorer|executor|learning|evaluation"
    named = [match for page in PAGES for span in spans(page) if (match := re.fullmatch(rf"({groups})\.(\w+)", span))]
    assert named
    for match in named:
        if match[2] != "py":
            assert hasattr(getattr(TrainConfig(), match[1]), match[2]), match[0]


def test_files_and_make_targets_in_the_text_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        for span in spans(page):
            if re.fullmatch(r"[\w-]+(/[\w-]+)*\.(py|txt|md|toml)", span) and "/" in span:
                places = (ROOT / span, ROOT / "dream" / span, page.parent / span)
                assert any(place.is_file() for place in places), f"{page.name}: {span}"
        commands = [*shell_commands(page), *(span.split() for span in spans(page))]
        for words in commands:
            if words[:1] == ["make"] and len(words) > 1:
                assert re.search(rf"^{words[1]}:", makefile, flags=re.MULTILINE), f"{page.name}: {words}"
            if words[:2] == ["python", "-m"] and words[2] != "dream":
                assert (ROOT / words[2].replace(".", "/")).with_suffix(".py").is_file(), f"{page.name}: {words}"


def anchors(page: Path) -> set[str]:
    """The anchors a page's headings get where Markdown is shown."""
    headings = re.findall(r"^#+ +(.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@PAGE
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if name == "docs/images/trial.png" and not between("results"):
            continue  # comes with the results
        assert file.exists(), f"{page.name} points to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} points to {target}"
        assert not file.match("*.png") or file.stat().st_size < 200_000, f"{target} is too large a picture"


def between(name: str) -> str:
    """What stands between two markers of the README."""
    text = README.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    assert text.count(begin) == text.count(end) == 1, f"{begin} and {end} must stand there once each"
    assert text.index(begin) < text.index(end)
    return text[text.index(begin) + len(begin) : text.index(end)].strip()


@pytest.mark.parametrize("name", MARKERS)
def test_the_markers_for_measured_numbers_are_there(name: str) -> None:
    assert between(name) == "" or re.search(r"\d", between(name))


def test_the_python_of_the_readme_runs(capsys: pytest.CaptureFixture) -> None:
    """With fewer steps, so that it takes a second; in the test's empty directory."""
    (code,) = blocks(README, "python")
    short = code.replace("TrainConfig(", "TrainConfig(steps=100, ")
    assert short != code and len(code.splitlines()) <= 12
    names: dict[str, Any] = {}
    exec(compile(short, "README.md", "exec"), names)
    assert names["trials"].execute.reward.shape[0] == 8
    assert names["step"] >= 100 and "tensor" in capsys.readouterr().out


@PAGE
def test_python_parses(page: Path) -> None:
    for code in blocks(page, "python", "python notest"):
        ast.parse(code)


def test_the_families_page_prints_what_it_says() -> None:
    page = ROOT / "docs" / "families.md"
    pairs = re.findall(r"```python\n([^`]*)```\n\n```text\n([^`]*)```", page.read_text(encoding="utf-8"))
    assert len(pairs) == len(blocks(page, "python")) == 2
    names: dict[str, Any] = {}
    for code, expected in pairs:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page.name, "exec"), names)
        assert printed.getvalue() == expected


def test_the_explorer_of_the_page_trains(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """The page's file, its first command and its Python, in the test's empty directory, with fewer steps."""
    module, usage = blocks(EXPLORER, "python")
    assert len(module.splitlines()) < 40
    Path("my_explorers.py").write_text(module, encoding="utf-8")
    monkeypatch.syspath_prepend(Path.cwd())
    command, compare = dream_commands(EXPLORER)
    assert cli.run([*command, "--steps", "1000"]) == 0
    assert Path("runs/map/my_explorers-DISTINCT/s0/checkpoints").is_dir()
    assert {label.method for label in parse_labels(parsed(compare, monkeypatch).methods)} == {
        "dream",
        "my_explorers:DISTINCT",
    }
    names: dict[str, Any] = {}
    assert usage.count("train(config") == 1
    exec(
        compile(usage.replace("train(config", "train(override(config, {'steps': 1000})"), EXPLORER.name, "exec"), names
    )
    assert (names["run_dir"] / "checkpoints").is_dir() and names["config"].network.width == 16
    method, env, step = load_method(names["run_dir"], members=4)
    assert step >= 1000 and method.config.method == "my_explorers:DISTINCT" and env.num_envs == 4

    import my_explorers  # type: ignore[import-not-found]

    obs = torch.tensor([[[0, 0], [1, 0], [0, 0], [1, 1], [1, 1]], [[2, 0], [3, 0], [3, 0], [2, 0], [4, 0]]])
    mask = torch.tensor([[True, True, True, True], [True, True, False, False]])
    explore = SimpleNamespace(obs=obs, transition=mask)
    assert my_explorers.distinct(SimpleNamespace(explore=explore), None).tolist() == [[1, 0, 1, 0], [1, 0, 0, 0]]


def test_the_page_of_the_explorers_has_them_all() -> None:
    table = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    named = {
        name
        for row in re.findall(r"^\| (`.+?) \|", table, flags=re.MULTILINE)
        for name in re.findall(r"`([\w-]+)`", row)
    }
    pairs = {name for name, spec in METHODS.items() if isinstance(spec.rules(TrainConfig()), PairRules)}
    assert named == pairs
    for name in pairs:
        assert not METHODS[name].paper.count("arXiv") or METHODS[name].paper.split()[-1] in table, name
