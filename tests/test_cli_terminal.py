"""What the terminal shows: tables at 80 columns, help, progress, output that is cut off."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from dream import cli
from dream.cli.tables import print_table
from dream.training.progress import pieces_of_work

ROOT = Path(__file__).resolve().parent.parent


def words(text: str) -> set[str]:
    return set(re.findall(r"[^\s┃│┏━┓┡╇┩└┴┘├┼┤┳─]+", text))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["envs"], {"sign-ball", "unexplored", "ingredients", "0.422"}),
        (["envs", "bus"], {"description", "MultiDiscrete([9", "end-episode,", "ff161900c3b420a7)"}),
        (["methods"], {"first-explore", "contextual", "bottlenecked", "2008.02790"}),
        (["doctor"], {"opencv-python-headless", "component"}),
        (["eval", "--pretrained", "bus", "--trials", "20"], {"exploring", "normalised", "interval", "0.800"}),
        (["coupling", "--actions", "4", "2", "--problems", "2", "--runs", "4"], {"decoupled", "explorer", "executor"}),
        (
            ["compare", "--from", str(ROOT / "results/bus.csv"), "--out", "figures"],
            {"first-explore", "contextual", "prediction", "final", "800,015"},
        ),
    ],
)
def test_tables_at_80_columns_break_no_word(command, expected, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.run(command) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert expected <= words(text)


def test_a_table_that_is_too_wide_is_printed_in_parts(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    headings = ["method", *(f"accuracy_{number}" for number in range(6))]
    print_table(headings, [["dream", *"123456"], ["random", *"654321"]], title="A title")
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 40 and set(headings) <= words(text)
    assert text.count("dream") == text.count("method") > 1


def test_a_long_label_is_broken_between_its_settings(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "44")
    label = "dream[explorer.step_cost=0.125,learning.weight_decay=0.5]"
    print_table(["method", "score"], [[label, "0.987 [0.950, 1.000]"], ["none", "-"]])
    text = capsys.readouterr().out
    pieces = {"step_cost", "weight_decay", "[0.950,", "1.000]"}
    assert all(any(piece in line for line in text.splitlines()) for piece in pieces)
    assert max(map(len, text.splitlines())) <= 44
    assert "[0.950, 1.000]" in text  # an interval stays on its line


def test_numbers_stand_on_the_right_and_text_on_the_left(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    print_table(["name", "value", "word"], [["a", "1", "x"], ["b", "1,000", "longer"]], ruled=[0])
    lines = capsys.readouterr().out.splitlines()
    assert "│ a    │     1 │ x      │" in lines and "│ b    │ 1,000 │ longer │" in lines
    assert lines[4].startswith("├")  # the rule below the first row


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_shows_neither_none_nor_python(command: str, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        cli.run([command, "--help"])
    text = capsys.readouterr().out
    assert "{None}" not in text and "default: None" not in text and "False" not in text and "<" not in text
    assert "(default: )" not in text
    assert max(len(line) for line in text.splitlines() if not line.startswith("usage: ")) <= 80


def test_help_shows_ranges_and_defaults_in_groups(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit):
        cli.run(["train", "dream", "--env", "cooking", "--help"])
    text = " ".join(re.sub("[│─╭╮╰╯]", " ", capsys.readouterr().out).split())
    assert "discount factor of the exploration reward (from 0 to 1; default: 0.95)" in text
    assert "(at least 1; default: 3000000)" in text  # the family's
    assert "learning options" in text and "--run-dir PATH" in text and "--set SETTING=VALUE ..." in text


def run_dream(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "dream", *arguments], text=True, timeout=120, **options)


@pytest.mark.parametrize("command", ["methods --json", "train --help", "envs bus"])
def test_a_reader_that_closes_the_pipe_ends_it_quietly(command: str) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = run_dream(*command.split(), stdout=closed, stderr=subprocess.PIPE)
    assert done.stderr == "" and done.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_standard_output_is_one_sentence() -> None:
    with open("/dev/full", "w") as full:
        done = run_dream("methods", "--json", stdout=full, stderr=subprocess.PIPE)
    assert done.stderr == "dream: cannot write the output: No space left on device\n" and done.returncode == 2


def test_progress_of_pieces_of_work_speaks_of_no_steps() -> None:
    out = io.StringIO()
    with pieces_of_work("explain", Console(file=out, width=100)) as tell:
        tell(0, 4, "dream: exploring [map]")
        tell(1, 4, "dream: a probe")
        tell(1, 4, "dream: a probe")
        tell(4, 4, "")
    first, second, last = out.getvalue().splitlines()
    assert first == "explain: 0% done, ETA ?, now dream: exploring [map]"
    assert second.startswith("explain: 25% done, ETA 0:00:0") and second.endswith(", now dream: a probe")
    assert last == "explain: 100% done, ETA 0:00:00"


def test_progress_of_pieces_of_work_is_a_bar_in_a_terminal() -> None:
    out = io.StringIO()
    with pieces_of_work("explain", Console(file=out, force_terminal=True, width=100, color_system=None)) as tell:
        tell(1, 4, "dream: a probe [map]")
    text = out.getvalue()
    assert "25%" in text and "dream: a probe [map]" in text and "steps" not in text
    assert "\x1b[?25h" in text  # the cursor is back


# -- options that are written in several ways ----------------------------------------------------------------------


def listed(capsys: pytest.CaptureFixture, *arguments: str) -> dict:
    assert cli.run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_json_of_one_family_is_that_of_the_list(capsys) -> None:
    every = {family["env"]: family for family in listed(capsys, "envs")["envs"]}
    assert listed(capsys, "envs", "map") == every["map"]
