"""The command on small runs, the words on numbers by hand, and every way the runs can be wrong."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dream import cli
from dream.envs import make
from dream.eval.evaluate import evaluate_run
from dream.eval.explain.explanation import Cell, Explanation, Explored
from dream.eval.explain.files import write_explanation
from dream.eval.explain.loading import load_runs
from dream.eval.explain.probe import Knowledge, chance
from dream.eval.explain.words import columns, sentences

DEBUG = ["--preset", "debug", "--steps", "600"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of dream, one of random, on signpost; one run of another family."""
    folder = tmp_path_factory.mktemp("runs")
    for method, env, seed in (("dream", "signpost", 0), ("dream", "signpost", 1), ("random", "signpost", 0)):
        path = folder / method / f"s{seed}"
        command = ["train", method, "--env", env, "--seed", str(seed), *DEBUG, "--run-dir", str(path)]
        assert cli.run(command) == 0
    assert cli.run(["train", "none", "--env", "map", *DEBUG, "--run-dir", str(folder / "map")]) == 0
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_command_writes_all_files_and_prints_their_findings(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    damaged = Path(shutil.copytree(runs / "random" / "s0", tmp_path / "damaged"))
    for weights in (damaged / "checkpoints").glob("*/weights.safetensors"):
        weights.write_bytes(b"nothing")
    shutil.copytree(runs / "dream" / "s0", tmp_path / "untrained", ignore=shutil.ignore_patterns("checkpoints"))
    given = [runs / "dream" / "s0", runs / "random" / "s0", runs / "dream" / "s1", damaged, tmp_path / "untrained"]
    command = ["explain", *map(str, given), "--trials", "64", "--updates", "4", "--out", "why"]
    assert cli.run([*command, "--json"]) == 0
    printed = capsys.readouterr()
    output = json.loads(printed.out.splitlines()[-1])
    assert [one["explorer"] for one in output["explorers"]] == ["dream", "random", "none", "scripted"]
    assert len(output["skipped"]) == 2 and all(f"skipped {path}" in printed.err for path in given[3:])
    assert "untrained has no checkpoint yet" in printed.err and "ETA" in printed.err
    assert all(Path(file).stat().st_size > 0 for file in output["files"]) and 2 <= len(output["sentences"]) <= 6
    names = "swap.csv behaviour.csv found.csv explanation.md visits.npz swap.svg behaviour.svg found_accuracy.svg"
    assert {Path(file).name for file in output["files"]} == {*names.split(), "found_nats.svg", "visits.svg"}

    swap = rows(Path("why/swap.csv"))
    pairs = {(r["explorer"], r["explorer_seed"], r["executor"], r["executor_seed"]): float(r["return"]) for r in swap}
    # 2 + 1 runs of which those of seed 0 meet, two bounds with all three; five explorers with the expert.
    assert len(swap) == len(pairs) == (2 * 2 + 1) + 2 * 3 + 5
    for method, seed in (("dream", 0), ("dream", 1), ("random", 0)):
        found = evaluate_run(runs / method / f"s{seed}", trials=64)
        assert pairs[method, str(seed), method, str(seed)] == pytest.approx(found.return_mean)
    assert all(value == 1 for (*_, executor, _), value in pairs.items() if executor == "expert")

    found_out = rows(Path("why/found.csv"))
    assert len(found_out) == 5 * 7 and {r["part"] for r in found_out} == {"right button"}
    last = {(r["method"], r["seed"]): r for r in found_out if r["step"] == "6"}
    assert float(last["none", ""]["accuracy"]) == float(last["none", ""]["possible_accuracy"]) == 0.5
    assert float(last["scripted", ""]["possible_accuracy"]) == 1 and last["scripted", ""]["relevant"] == "True"
    done = {(r["method"], r["seed"], r["measure"]): float(r["mean"]) for r in rows(Path("why/behaviour.csv"))}
    assert done["scripted", "", "read_sign"] == 1 and done["none", "", "length"] == 0
    with np.load("why/visits.npz") as visits:
        assert visits["visits"].shape == (5, 1, 5) and visits["method"].tolist()[:3] == ["dream", "dream", "random"]
        assert visits["seed"].tolist() == [0, 1, 0, -1, -1] and visits["visits"][3].tolist() == [[0, 0, 1, 0, 0]]

    before = Path("why/swap.csv").read_bytes(), Path("why/swap.svg").read_bytes()
    assert cli.run(command) == 0
    assert (Path("why/swap.csv").read_bytes(), Path("why/swap.svg").read_bytes()) == before
    out = capsys.readouterr().out
    assert "scripted" in out and "- From explorations of" in out and "docs/explain.md" in out


def test_invalid_arguments_are_refused(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    dream, random = str(runs / "dream" / "s0"), str(runs / "random" / "s0")
    (tmp_path / "file").write_text("")
    copy = str(shutil.copytree(dream, tmp_path / "copy"))
    empty = tmp_path / "empty"
    empty.mkdir()
    quick = ["--trials", "4", "--updates", "1"]
    for arguments, sentence in (
        ([], "no runs given: write for example dream explain"),
        ([dream, str(tmp_path / "nowhere")], "nowhere is not a directory: give run directories"),
        ([dream, str(runs / "map")], "env is 'map' in"),
        ([dream, random, copy], "are both dream with seed 0: give one of them"),
        ([str(empty)], "no run to explain (skipped"),
        ([dream, "--trials", "1"], "--trials is 1: it must be an integer from 2"),
        ([dream, "--updates", "0"], "--updates is 0: it must be an integer from 1"),
        ([dream, "--out", str(tmp_path / "file" / "why")], "Cannot write"),
    ):
        assert (
            cli.run(["explain", *arguments, *([] if "--trials" in arguments or "--updates" in arguments else quick)])
            == 2
        )
        error = capsys.readouterr().err
        assert sentence in error and "Traceback" not in error


def test_other_parameters_are_another_task_but_other_descriptions_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for name, parameter in (("a", "description=id"), ("b", "description=lines"), ("c", "grid_size=5")):
        command = ["train", "none", "--env", "map", *DEBUG, "--env-parameters", parameter]
        assert cli.run([*command, "--run-dir", str(tmp_path / f"none[{name}=1]" / "s0")]) == 0
    paths = [tmp_path / f"none[{name}=1]" / "s0" for name in "abc"]
    assert [run.label for run in load_runs(paths[:2], 4).runs] == ["none[a=1]", "none[b=1]"]
    assert cli.run(["explain", *map(str, paths)]) == 2
    assert "give runs of one family with the same parameters" in capsys.readouterr().err


def explored(label: str, seed: int | None, useful: float, useless: float, length: float, rides: float) -> Explored:
    accuracy = np.tile([useful] * 4 + [useless] * 4, (2, 1))
    decoded = Knowledge(accuracy, np.log(accuracy))
    return Explored(
        label, seed, {"length": length, "ended": 1.0, "distracting_rides": rides}, np.ones((9, 9)), decoded, decoded
    )


def by_hand() -> Explanation:
    """rnd discovers the useless lines; its executor is good. count's explorer is good; its executor is not."""
    env = make("bus", 1)
    found = [
        explored("rnd", 0, 0.3, 0.7, 20.0, 2.0),
        explored("rnd", 1, 0.5, 0.9, 18.0, 1.6),
        explored("count", 0, 1.0, 0.25, 9.0, 0.0),
        explored("scripted", None, 1.0, 0.25, 7.5, 0.0),
    ]
    means = {("rnd", "rnd"): (0.3, 0.4), ("scripted", "rnd"): (0.8, 0.7), ("count", "count"): (0.2,)}
    means |= {("scripted", "count"): (0.2,), ("count", "rnd"): (0.6,)}
    cells = [
        Cell(explorer, seed, executor, seed, mean, 0.01)
        for (explorer, executor), each in means.items()
        for seed, mean in enumerate(each)
    ]
    cells += [Cell(one.label, one.seed, "expert", None, 0.8, 0.0) for one in found]
    parts = env.parts()
    return Explanation("bus", 100, parts, chance(parts, env.problems.ids("test")), found, cells, env.map_extent)


def test_means_over_seeds_by_hand() -> None:
    found = by_hand()
    mean, error = found.swap().mean, found.swap().standard_error
    assert (found.explorers, found.executors) == (["rnd", "count", "scripted"], ["rnd", "count", "expert"])
    assert mean[:, 0] == pytest.approx([0.35, 0.6, 0.75]) and mean[:, 2] == pytest.approx([0.8] * 3)
    assert np.isnan(mean[0, 1]) and error[0, 0] == pytest.approx(0.05) and error[1, 0] == 0.01
    curve = found.curve("rnd", "accuracy", False)
    assert curve is not None and curve == pytest.approx([0.8, 0.8])
    assert found.behaviour("rnd") == {"length": 19.0, "ended": 1.0, "distracting_rides": 1.8}


def test_sentences_by_hand() -> None:
    assert sentences(by_hand()) == [
        "From explorations of count a probe decodes 1.00 of the relevant parts of a problem, from those of rnd 0.40 "
        "(chance: 0.25); the exact posterior of count decodes 1.00.",
        "rnd learns most about irrelevant parts: 0.80 of them are decoded, and 0.40 of the relevant ones; for count it "
        "is 0.25 and 1.00.",
        "They differ most in distracting rides: 1.80 per exploration of rnd, 0.00 of count.",
        "Explorations of rnd take 19.0 steps, those of count 9.0; the script takes 7.5.",
        "rnd earns 0.35, the expert 0.80; on the script's explorations the executor of rnd earns 0.75: its explorer is "
        "the weak half.",
        "count earns 0.20, the expert 0.80; on the script's explorations the executor of count earns 0.20: its "
        "executor (or its encoding of the exploration) is the weak half.",
    ]


def test_the_table_has_a_cell_for_every_column(tmp_path: Path) -> None:
    names, lines = columns(by_hand())
    assert all(len(line) == len(names) for line in lines)
    assert names[:3] == [
        "explorer",
        "own return",
        "relevant decoded",
    ]
    assert lines[0][:3] == ["rnd", pytest.approx(0.35), pytest.approx(0.4)] and np.isnan(lines[2][1])  # type: ignore[arg-type]
    page = next(file for file in write_explanation(by_hand(), tmp_path) if file.suffix == ".md").read_text()
    assert "| rnd | 0.350 ± 0.050 |  | 0.800 ± 0.000 |" in page
