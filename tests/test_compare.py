"""Comparing methods with real runs: trained once, resumed after a kill, and failures named."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from dream import cli
from dream.compare.launcher import run_all
from dream.compare.plan import PlannedRun, plan
from dream.compare.progress import CompareProgress
from dream.compare.rows import evaluate, is_finished, read_rows
from dream.config import PRESETS
from dream.errors import UserError
from dream.methods.labels import parse_labels
from dream.storage.checkpoints import CheckpointStore
from dream.training.loop import train

DEBUG = ["compare", "--env", "signpost", "--preset", "debug", "--steps", "600", "--trials", "16"]


def contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def test_a_failing_run_is_named_and_a_second_call_trains_only_what_is_missing(capsys, monkeypatch):
    """Two methods, two seeds, two processes; the directory of one run holds something else at first."""
    stranger = Path("runs/debug/signpost/random/s1/thesis.tex")
    stranger.parent.mkdir(parents=True)
    stranger.write_text("years of work")
    command = [*DEBUG, "--methods", "random", "none", "--seeds", "2", "--processes", "2"]
    assert cli.run([*command, "--json"]) == 1
    out, err = capsys.readouterr()
    printed = json.loads(out)
    assert [(method["method"], method["seeds"]) for method in printed["methods"]] == [("random", "0"), ("none", "0 1")]
    assert list(printed["failed"]) == ["random on signpost, seed 1"]
    assert "dream: failed: random on signpost, seed 1: " in err and "not a run directory (it holds thesis.tex)" in err
    assert "Traceback" not in err

    stranger.unlink()
    before = contents(Path("runs/debug/signpost/none"))
    assert cli.run([*command, "--csv", "mine.csv"]) == 0
    out, err = capsys.readouterr()
    assert "4 runs, 3 of them finished and evaluated before" in err and "4/4 random on signpost, seed 1: done" in err
    assert "0.00" in out and "runs/debug/signpost/compare" in out
    assert contents(Path("runs/debug/signpost/none")) == before
    with Path("runs/debug/signpost/compare/results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert Path("mine.csv").read_text() == Path("runs/debug/signpost/compare/results.csv").read_text()
    assert {(row["method"], row["seed"]) for row in rows} == {(m, s) for m in ("random", "none") for s in "01"}
    assert {row["value"] for row in rows if row["metric"] == "trials"} == {"16"}
    seen = {row["metric"] for row in rows if row["split"] == "validation"}
    assert seen >= {"return", "normalised", "seconds", "updates"}

    # Now all is there: no process is started, neither to train nor to evaluate.
    monkeypatch.setattr("dream.compare.launcher._Worker", None)
    assert cli.run([*command, "--only-trained"]) == 0
    assert cli.run([*DEBUG, "--methods", "random", "--only-trained", "--seeds", "3"]) == 0
    out, err = capsys.readouterr()
    assert "left out, because it is not finished: random on signpost, seed 2" in err
    with pytest.raises(TypeError):  # other trials are to be played
        cli.run([*command, "--trials", "17"])
    assert cli.run([*command, "--steps", "601"]) == 2
    assert "steps is 600 there and 601 here" in capsys.readouterr().err


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_killed_comparison_ends_its_workers_and_resumes(how: signal.Signals, capsys):
    command = [*DEBUG, "--steps", "12000", "--methods", "none", "--seeds", "1"]
    run = Path("runs/debug/signpost/none/s0")
    with subprocess.Popen([sys.executable, "-m", "dream", *command], stderr=subprocess.DEVNULL) as process:
        while not list(run.glob("checkpoints/0*")):
            time.sleep(0.02)
            assert process.poll() is None
        worker = int((run / ".lock").read_text())
        process.send_signal(how)
    assert process.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    deadline = time.monotonic() + 60
    while is_running(worker):
        assert time.monotonic() < deadline, "the worker outlives the command"
        time.sleep(0.05)
    kept = sorted(path.name for path in run.glob("checkpoints/0*"))[-1]
    saved = [line for line in (run / "timing.jsonl").open() if json.loads(line)["step"] <= int(kept.split("_")[-1])]
    assert saved and int(kept.split("_")[-1]) < 12_000
    assert cli.run(command) == 0
    lines = (run / "timing.jsonl").read_text().splitlines(keepends=True)
    assert lines[: len(saved)] == saved and json.loads(lines[-1])["step"] >= 12_000  # the clock went on from there


def is_running(pid: int) -> bool:
    """Whether a process runs: a zombie (ended, not yet waited for) does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_sigterm_saves_every_run_and_the_same_command_continues(capsys):
    """Two workers; the signal goes to the command and, as some schedulers do, to a worker as well."""
    command = [*DEBUG, "--steps", "40000", "--methods", "none", "--seeds", "2", "--processes", "2"]
    runs = [Path("runs/debug/signpost/none/s0"), Path("runs/debug/signpost/none/s1")]
    with subprocess.Popen([sys.executable, "-m", "dream", *command], stderr=subprocess.PIPE, text=True) as process:
        while not all(list(run.glob("checkpoints/0*")) for run in runs):
            time.sleep(0.02)
            assert process.poll() is None
        os.kill(int((runs[1] / ".lock").read_text()), signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        said = process.communicate()[1]
    assert process.returncode == 143, said
    assert "stopping: every run saves after its current round" in said
    assert "Every run is saved. The same command continues: dream compare" in said and "Traceback" not in said
    for run in runs:
        newest = sorted(run.glob("checkpoints/0*"))[-1]
        step = int(newest.name.split("_")[-1])
        lines = [json.loads(line)["step"] for line in (run / "metrics.jsonl").open()]
        assert step < 40_000 and lines[-1] <= step  # saved after the last line: nothing is trained twice


# -- damaged runs ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[PlannedRun]]:
    """Two finished and evaluated runs; copy them before changing anything."""
    home = tmp_path_factory.mktemp("finished")
    runs = planned(home)
    for run in runs:
        train(run.config, run.run_dir)
        evaluate(run, 16)
    return home, runs


def planned(home: Path) -> list[PlannedRun]:
    changes = {**PRESETS["debug"], "steps": 600, "evaluation.every": 200}
    return plan(parse_labels(["random"]), ["signpost"], [0, 1], home / "runs", changes=changes)


def write(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


DAMAGES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "half a line": ("metrics.jsonl", lambda p: p.write_bytes(p.read_bytes()[:-40]), "metrics.jsonl is damaged at line"),
    "a broken line": (
        "metrics.jsonl",
        lambda p: p.write_text("{broken\n" + p.read_text()),
        "metrics.jsonl is damaged at line 1",
    ),
    "binary": ("metrics.jsonl", lambda p: p.write_bytes(bytes(range(256))), "metrics.jsonl cannot be read"),
    "missing": ("metrics.jsonl", Path.unlink, "metrics.jsonl is missing"),
    "empty": ("metrics.jsonl", write(""), "metrics.jsonl is empty"),
    "a number": ("metrics.jsonl", write("5\n"), "metrics.jsonl is damaged at line 1"),
    "no step": ("metrics.jsonl", write('{"step": null}\n'), "metrics.jsonl is damaged at line 1"),
    "no updates": (
        "metrics.jsonl",
        lambda p: p.write_text(p.read_text().replace('"updates"', '"undates"')),
        "line 1 has no updates",
    ),
    "a score that is a text": (
        "metrics.jsonl",
        lambda p: p.write_text(
            re.sub(r'"eval/validation/return": [^,}]*', '"eval/validation/return": "x"', p.read_text())
        ),
        "return in line 1 is no number",
    ),
    "a directory": ("metrics.jsonl", lambda p: (p.unlink(), p.mkdir()), "metrics.jsonl is a directory"),
    "no timing": ("timing.jsonl", Path.unlink, "timing.jsonl is missing"),
    "a line of timing less": (
        "timing.jsonl",
        lambda p: p.write_text("".join(p.read_text().splitlines(keepends=True)[:-1])),
        "lines are not of the",
    ),
    "evaluations without a number": (
        "eval.csv",
        lambda p: p.write_text(re.sub(r",[^,]*$", ",abc", p.read_text().strip())),
        "value 'abc' is no finite number",
    ),
    "damaged settings": ("config.yaml", write("[1, 2"), "config.yaml"),
    "settings of another kind": ("config.yaml", write("5"), "config.yaml"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_named_and_the_others_are_used(
    damage: str, finished: tuple[Path, list[PlannedRun]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    name, spoil, why = DAMAGES[damage]
    home = Path(shutil.copytree(finished[0], tmp_path / "home"))
    good, bad = planned(home)
    spoil(bad.run_dir / name)
    monkeypatch.setattr("dream.compare.launcher._Worker", None)  # nothing is to be trained or evaluated
    failed = run_all([good, bad], 16, 1, CompareProgress(Console(file=io.StringIO())))
    rows, unreadable = read_rows([run for run in (good, bad) if run not in failed])
    failed |= unreadable
    assert list(failed) == [bad] and why in failed[bad] and str(bad.run_dir) in failed[bad]
    assert {row["seed"] for row in rows} <= {"0", 0} and {row["split"] for row in rows} == {
        "test",
        "train",
        "validation",
    }


def test_damaged_runs_are_named_at_the_end_with_exit_code_1(
    finished: tuple[Path, list[PlannedRun]], capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(finished[0] / "runs", "runs")
    shutil.copytree("runs/signpost/random/s1", "runs/signpost/random/s2")
    config = Path("runs/signpost/random/s2/config.yaml")
    config.write_text(config.read_text().replace("seed: 1", "seed: 2"))
    Path("runs/signpost/random/s1/timing.jsonl").unlink()
    Path("runs/signpost/random/s2/eval.csv").write_text("abc")
    monkeypatch.setattr("dream.compare.launcher._Worker", None)
    settings = ["--steps", "600", "--set", "evaluation.every=200", "--preset", "debug", "--runs", "runs"]
    label = "random[evaluation.every=200]"
    Path("runs/signpost/random").rename(Path("runs/signpost") / parse_labels([label])[0].directory)
    command = ["compare", "--env", "signpost", "--methods", "random", *settings, "--seeds", "3", "--trials", "16"]
    assert cli.run([*command, "--only-trained", "--json"]) == 1
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert [method["seeds"] for method in said["methods"]] == ["0"]
    assert list(said["failed"]) == [f"{label} on signpost, seed {seed}" for seed in (2, 1)]
    assert "Traceback" not in err and err.count("dream: failed: ") == 2


def test_a_run_that_was_solved_early_is_finished(tmp_path: Path):
    changes = {**PRESETS["debug"], "steps": 6_000, "evaluation.every": 300, "evaluation.stop_at": -100.0}
    (run,) = plan(parse_labels(["random"]), ["signpost"], [0], tmp_path, changes=changes)
    assert not is_finished(run)
    train(run.config, run.run_dir)
    assert is_finished(run)
    assert CheckpointStore(run.run_dir / "checkpoints").all()[-1].step < 6_000
    metrics = run.run_dir / "metrics.jsonl"
    metrics.write_text(metrics.read_text().replace('"eval/solved": 1.0', '"eval/solved": 0.0'))
    assert not is_finished(run)


# -- plan --------------------------------------------------------------------------------------------------------


def test_methods_without_exploration_may_get_fewer_steps():
    labels = parse_labels(["dream", "none", "oracle", "contextual"])
    jobs = plan(labels, ["map", "bus"], [4, 5], Path("r"), bound_steps=500_000)
    assert [(job.label, job.config.seed) for job in jobs[:5]] == [
        ("dream", 4),
        ("none", 4),
        ("oracle", 4),
        ("contextual", 4),
        ("dream", 5),
    ]
    assert [job.config.steps for job in jobs[:4]] == [1_500_000, 500_000, 500_000, 500_000]
    described = {str(job.run_dir): job.config.env_parameters for job in jobs if job.config.env_parameters}
    assert described == {
        f"r/bus/{method}/s{seed}": {"description": "lines"} for method in ("oracle", "contextual") for seed in (4, 5)
    }


def test_methods_that_explore_get_the_same_number_of_steps():
    labels = parse_labels(["dream", "random[steps=7]", "none[steps=9]"])
    with pytest.raises(UserError, match=r"different numbers of steps \(dream 5, random\[steps=7\] 7\): give --steps N"):
        plan(labels, ["map"], [0], Path("r"), changes={"steps": 5})
    assert [job.config.steps for job in plan(labels[1:], ["map"], [0], Path("r"))] == [7, 9]


def test_set_and_env_parameters_change_all_methods_and_become_part_of_the_labels(monkeypatch):
    planned = []

    def run_all(runs, *_):
        planned.extend(runs)
        return dict.fromkeys(runs, "not run")

    monkeypatch.setattr("dream.compare.launcher.run_all", run_all)
    words = "--methods random --methods none --set steps=1e3 --env-parameters buttons=3 --set learning.tau=0.5"
    assert cli.run(["compare", "--env", "signpost", "--seeds", "1", *words.split()]) == 1
    labels = [f"{method}[steps=1e3,learning.tau=0.5,env_parameters.buttons=3]" for method in ("random", "none")]
    assert [run.label for run in planned] == labels
    for run in planned:
        config = run.config
        assert (config.steps, config.learning.tau, config.env_parameters) == (1000, 0.5, {"buttons": 3})


# -- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--methods", "dream"], "no families or no methods given: write for example dream compare"),
        (["--env", "map"], "no families or no methods given"),
        (["--env", "mapp", "--methods", "dream"], "choose one of bus, map, cooking"),
        (["--env", "map", "--methods", "dreem"], "unknown method 'dreem': choose one of"),
        (["--env", "map", "--methods", "dream[cost]"], "'cost' is not of the form NAME=VALUE"),
        (
            ["--env", "map", "--methods", "dream", "--set", "learning.x=1"],
            "dream[learning.x=1]: unknown setting 'learning.x'",
        ),
        (["--env", "map", "--methods", "dream[env_parameters.grid_size=1]"], "grid_size"),
        (["--env", "map", "--methods", "dream", "--seeds", "0"], "--seeds is 0: it must be an integer from 1"),
        (["--env", "map", "--methods", "dream", "--first-seed", "-1"], "--first-seed is -1"),
        (["--env", "map", "--methods", "dream", "--steps", "0"], "--steps is 0"),
        (
            ["--env", "map", "--methods", "dream", "--bound-steps", "0"],
            "--bound-steps is 0: it must be an integer from 1",
        ),
        (["--env", "map", "--methods", "dream", "--only-trained"], "no such run in runs is finished"),
        (["--from", "nowhere.csv"], "nowhere.csv does not exist"),
        (["--from", "nowhere.csv", "--only-trained"], "leave out --only-trained"),
    ],
)
def test_wrong_arguments_are_refused_in_one_sentence(arguments: list[str], sentence: str, capsys):
    assert cli.run(["compare", *arguments]) == 2
    out, err = capsys.readouterr()
    last = err.splitlines()[-1]
    assert out == "" and last.startswith("dream: ") and sentence in last and "Traceback" not in err
    assert not os.listdir()
