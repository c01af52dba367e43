"""Comparing methods with real runs: trained once, resumed after a kill, and failures named."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dream import cli
from dream.compare.jobs import plan
from dream.errors import UserError
from dream.methods.labels import parse_labels

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
    told = json.loads(out)
    assert [(method["method"], method["seeds"]) for method in told["methods"]] == [("random", "0"), ("none", "0 1")]
    assert list(told["failed"]) == ["random on signpost, seed 1"]
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
    monkeypatch.setattr("dream.compare.jobs._Worker", None)
    assert cli.run([*command, "--only-trained"]) == 0
    assert cli.run([*DEBUG, "--methods", "random", "--only-trained", "--seeds", "3"]) == 0
    out, err = capsys.readouterr()
    assert "left out, because it is not finished: random on signpost, seed 2" in err
    with pytest.raises(TypeError):  # other trials are to be played
        cli.run([*command, "--trials", "17"])
    assert cli.run([*command, "--steps", "601"]) == 2
    assert "steps is 600 there and 601 here" in capsys.readouterr().err


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_killed_its_worker_ends_and_the_same_command_goes_on(how: signal.Signals, capsys):
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
    """Whether a process runs: one that has ended but that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# -- plan --------------------------------------------------------------------------------------------------------


def test_who_does_not_explore_may_get_fewer_steps_and_is_told_where_the_lines_lead():
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

    def run_jobs(jobs, *_):
        planned.extend(jobs)
        return dict.fromkeys(jobs, "not run")

    monkeypatch.setattr("dream.compare.jobs.run_jobs", run_jobs)
    words = "--methods random --methods none --set steps=1e3 --env-parameters buttons=3 --set learning.tau=0.5"
    assert cli.run(["compare", "--env", "signpost", "--seeds", "1", *words.split()]) == 1
    labels = [f"{method}[steps=1e3,learning.tau=0.5,env_parameters.buttons=3]" for method in ("random", "none")]
    assert [job.label for job in planned] == labels
    for job in planned:
        config = job.config
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
