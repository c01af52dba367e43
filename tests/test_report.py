"""The report of runs: what stands in it, and what it says where runs are missing pieces or hold strange text."""

import base64
import dataclasses
import json
import re
import shutil
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from dream import cli
from dream.errors import UserError
from dream.eval.compare.summary import RunScores
from dream.eval.evaluate import load_method, spread_over_problems
from dream.eval.pretrained import pretrained, pretrained_names
from dream.eval.record.recorder import record_trials
from dream.eval.report import build
from dream.eval.report.build import chosen_trials, median_first, write_report
from dream.eval.report.disk import find_runs
from dream.eval.report.moments import player_data
from dream.eval.report.page import Page, render
from dream.eval.report.svg import figure, heat_map
from dream.eval.report.tiles import TILE, changed_tiles, exact
from dream.eval.show.movie import Movie

DEBUG = ["--preset", "debug", "--steps", "600"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of dream, one of rl2, on signpost, evaluated but for the last."""
    folder = tmp_path_factory.mktemp("runs") / "signpost"
    for method, seed in (("dream", 0), ("dream", 1), ("rl2", 0)):
        path = folder / method / f"s{seed}"
        assert cli.run(["train", method, "--env", "signpost", "--seed", str(seed), *DEBUG, "--run-dir", str(path)]) == 0
        if method == "dream":
            assert cli.run(["eval", str(path), "--trials", "50", "--csv", str(path / "eval.csv")]) == 0
    return folder


@pytest.fixture
def copied(runs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(runs, tmp_path / "signpost"))


class Elements(HTMLParser):
    """Ids, and what stands in the elements that hold data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.data: dict[str, Any] = {}
        self.loads: list[str] = []
        self._open: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"]] if given.get("id") else []
        self.loads += [str(given[name]) for name in ("src", "href") if given.get(name)]
        self._open = given.get("id") if given.get("type") == "application/json" else None

    def handle_data(self, data: str) -> None:
        if self._open:
            self.data[self._open] = json.loads(data)
            self._open = None


# -- pictures ----------------------------------------------------------------------------------------------------


def decoded(url: str) -> np.ndarray:
    content = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
    return cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]


def test_tiles_reproduce_every_picture() -> None:
    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.integers(0, 256, (5, 4, 3), np.uint8), (4 * TILE, 5 * TILE), interpolation=cv2.INTER_CUBIC)
    pictures = [picture]
    for at in ((3, 20), (40, 50), None, (70, 2)):
        picture = picture.copy()
        if at is not None:
            picture[at[0] : at[0] + 9, at[1] : at[1] + 9] = rng.integers(0, 256, 3)
        pictures.append(picture)
    found = changed_tiles(pictures)
    assert found[0]["at"] == list(range(20)) and found[3] == {"at": [], "image": ""}
    assert found[1]["at"] == [1]  # rows 3 to 11, columns 20 to 28: one tile
    assert found[2]["at"] == [4 * 2 + 3, 4 * 3 + 3]  # rows 40 to 48 are in two rows of tiles
    canvas = np.zeros_like(pictures[0])
    for picture, change in zip(pictures, found, strict=True):
        for row, place in enumerate(change["at"]):
            top, left = place // 4 * TILE, place % 4 * TILE
            canvas[top : top + TILE, left : left + TILE] = decoded(change["image"])[row * TILE : (row + 1) * TILE]
        assert np.abs(canvas.astype(int) - picture).mean() < 5.0


def test_agent_frames_keep_every_pixel() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    assert (decoded(exact(frame)) == frame).all()


def test_figures_share_no_ids_and_take_the_colours_of_the_page() -> None:
    import matplotlib
    from matplotlib.figure import Figure

    def draw(path: Path) -> None:
        with matplotlib.rc_context({"svg.hashsalt": "dream", "svg.fonttype": "none"}):
            canvas = Figure()
            canvas.add_subplot().plot([0, 1], color="#d55e00", label="<b>")
            canvas.axes[0].legend()
            canvas.savefig(path, format="svg")

    one, two = figure(draw, "one", "a <b>"), figure(draw, "two", "")
    assert set(Elements(one).ids).isdisjoint(Elements(two).ids) and Elements(one).ids
    used = re.findall(r"(?:url\(#|href=\"#)([^\")]+)", one)
    assert used and set(used) <= set(Elements(one).ids)
    assert "#000000" not in one and "#ffffff" not in one and "#d55e00" in one and "var(--ink)" in one
    assert "<b>" not in one and "&lt;b&gt;" in one
    assert figure(lambda path: None, "none", "") == ""


def test_a_heat_map_has_a_cell_for_each_place_visited() -> None:
    drawn = heat_map(np.array([[0, 4], [1, 0]]), "map")
    assert drawn.count("<title>") == 2 and 'x="1" y="0"' in drawn and 'fill-opacity="0.500"' in drawn


# -- data of the player ------------------------------------------------------------------------------------------


def test_the_player_gets_what_was_recorded() -> None:
    method, env, _ = load_method(pretrained("bus"), members=4)
    recorded = record_trials(method, env, spread_over_problems(env, "test", 4, 0), 0)
    data = player_data(recorded, env, [2, 0], ["optimal", "failure"], "dream")
    assert data["choices"]["explore"] == {"title": "action values", "names": list(env.action_names)}
    assert len(data["space"]["codes"]) == len(recorded.candidates)
    for row, outcome, trial in zip((2, 0), ("optimal", "failure"), data["trials"], strict=True):
        explore, execute = trial["episodes"]
        length, executed = int(recorded.explore.length[row]), int(recorded.execute.length[row])
        assert trial["problem"] == recorded.problem_id[row] and trial["outcome"] == outcome
        assert trial["steps"] == [length, executed]
        assert trial["instruction"] == execute["instruction"] == env.instruction_name(recorded.execute.instruction[row])
        assert len(explore["pictures"]) == len(explore["bars"]) == length + 1 == len(trial["information"]["found"])
        assert len(explore["truth"]) == len(explore["known"]) == length + 1
        names = [env.action_names[number] for number in recorded.explore.action[row, :length]]
        assert explore["action"] == names == [data["choices"]["explore"]["names"][row] for [row] in explore["taken"]]
        assert len(explore["action"]) == length == len(trial["z"]["g"]) - 1
        assert len(execute["pictures"]) == executed + 1
        assert sum(execute["reward"]) == pytest.approx(recorded.returns[row, 0], abs=1e-3)
        np.testing.assert_allclose(trial["information"]["found"], recorded.information[row, : length + 1], rtol=1e-3)
        assert trial["information"]["found"][0] == 0.0
        assert len(trial["beliefs"]) == len(explore["known"][0]) == 4  # the useless lines are not in it
        assert not any(explore["known"][0]) and explore["known"][-1] == execute["known"][0]
        for number, part in enumerate(trial["beliefs"]):
            np.testing.assert_allclose(np.sum(part["share"], axis=1), 1.0, atol=1e-3)
            assert np.argmax(part["share"][-1]) == part["truth"]  # the shipped pair explores to the end
            assert part["values"][part["truth"]] == str(tuple(env.destinations[trial["problem"]][number].tolist()))
        np.testing.assert_allclose(trial["z"]["g"][-1], trial["z"]["f"], atol=0.5)
    json.dumps(data, allow_nan=False)


def test_the_truth_is_added_to_the_first_picture() -> None:
    method, env, _ = load_method(pretrained("cooking"), members=2)
    recorded = record_trials(method, env, spread_over_problems(env, "test", 2, 0), 0)
    episode = player_data(recorded, env, [0], ["optimal"], "dream")["trials"][0]["episodes"][0]
    columns = episode["size"][0] // TILE

    def painted(*changes: dict[str, Any]) -> np.ndarray:
        canvas = np.zeros((episode["size"][1], episode["size"][0], 3), int)
        for change in changes:
            for row, place in enumerate(change["at"]):
                top, left = place // columns * TILE, place % columns * TILE
                canvas[top : top + TILE, left : left + TILE] = decoded(change["image"])[row * TILE : (row + 1) * TILE]
        return canvas

    movie = Movie(recorded.select([0]), env)
    last = len(episode["pictures"]) - 1
    shown = painted(episode["pictures"][0], *episode["truth"][: last + 1])
    hidden = painted(*episode["pictures"][:1])
    assert np.abs(shown - movie.moment(0, "explore", 0, last)).mean() < 2.0
    assert np.abs(hidden - movie.moment(0, "explore", 0, 0, known=np.zeros(3, bool))).mean() < 2.0
    assert len(episode["truth"][0]["at"]) < len(episode["pictures"][0]["at"]) / 2  # only what differs


def test_frames_are_kept_apart_from_the_picture_and_lie_where_it_shows_them() -> None:
    method, env, _ = load_method(pretrained("sign"), members=2)
    recorded = record_trials(method, env, spread_over_problems(env, "test", 2, 0), 0)
    episode = player_data(recorded, env, [1], ["optimal"], "dream")["trials"][0]["episodes"][0]
    left, top, width, height = episode["photo"]
    whole = Movie(recorded, env).moment(1, "explore", 1, 0)[top : top + height, left : left + width]
    frame = recorded.explore.obs[1, 0]
    assert np.array_equal(whole, cv2.resize(frame, (width, height), interpolation=cv2.INTER_NEAREST))
    assert np.array_equal(decoded(episode["frames"]["images"][0]), frame)


# -- the file ----------------------------------------------------------------------------------------------------


def test_the_report_of_several_methods(runs: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    done: list[tuple[int, int, str]] = []
    page = write_report([runs], tmp_path / "made" / "report.html", trials=3, tell=lambda *step: done.append(step))
    text = (tmp_path / "made" / "report.html").read_text(encoding="utf-8")
    assert before == {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}  # nothing is written there
    assert page.missing == [] and page.title == "2 methods on signpost" and "3 runs, 2 seeds." in text
    found = Elements(text)
    assert len(found.ids) == len(set(found.ids))
    index = found.data["methods"]
    assert [method["name"].split(",")[0] for method in index] == ["dream", "rl2"]
    assert index[0]["space"] is not None and index[1]["space"] is None  # rl2 has no z
    for number, method in enumerate(index):
        for at, trial in enumerate(method["trials"]):
            assert found.data[f"trial-{number}-{at}"]["problem"] == trial["problem"]
    assert [trial["problem"] for trial in index[0]["trials"]][:2] == [t["problem"] for t in index[1]["trials"]][:2]
    for section in ("scores", "player", "visits", "swap", "settings"):
        assert section in found.ids
    assert text.count('<svg class="heat"') == 2 and "class=own" in text
    assert done[-1][:2] == (done[-1][1],) * 2 and all(now <= total for now, total, _ in done)


def test_nothing_is_loaded_from_outside(runs: Path, tmp_path: Path) -> None:
    write_report([runs / "dream" / "s0"], tmp_path / "report.html", trials=1)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(address.startswith(("data:", "#")) for address in Elements(text).loads)
    assert "default-src 'none'" in text and "@import" not in text and "url(http" not in text


def test_the_same_runs_give_the_same_file(runs: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_report([runs / "dream" / "s0"], tmp_path / f"{name}.html", trials=2)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


@pytest.mark.parametrize("name", pretrained_names())
def test_a_pretrained_pair_has_a_curve_that_ends_at_its_weights(name: str) -> None:
    runs, missing = find_runs([pretrained(name)])
    assert missing == [] and len(runs) == 1
    curve = {
        row["step"]: row["value"] for row in runs[0].rows if (row["split"], row["metric"]) == ("validation", "return")
    }
    [weights] = (pretrained(name) / "checkpoints").iterdir()
    assert len(curve) >= 10 and weights.name.endswith(f"step_{max(curve)}")
    assert {row["step"] for row in runs[0].rows if row["metric"] == "seconds"} == set(curve)


def test_the_report_of_a_pretrained_pair_misses_nothing(tmp_path: Path) -> None:
    page = write_report([pretrained("bus")], tmp_path / "report.html", trials=2)
    assert page.title == "dream on bus" and list(page.missing) == []
    assert "id=missing" not in (tmp_path / "report.html").read_text(encoding="utf-8")


# -- the command -------------------------------------------------------------------------------------------------


def test_the_command_says_where_the_file_is(copied: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.run(["report", str(copied / "rl2" / "s0"), "--trials", "1"]) == 0
    assert f"{copied / 'rl2' / 's0' / 'report.html'}: rl2 on signpost" in capsys.readouterr().out
    both = [str(copied / "rl2"), str(copied / "dream"), "--trials", "1", "--json"]
    assert cli.run(["report", *both]) == 0
    reported = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert reported["file"] == "report.html" and reported["missing"] == [] and Path("report.html").is_file()
    damage(copied / "rl2" / "s0", "metrics")
    assert cli.run(["report", str(copied / "rl2"), "--trials", "1", "-o", "here.html"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Missing: metrics.jsonl of rl2, seed 0 is damaged at line") and "here.html: rl2" in out


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        ([], "give either runs or --pretrained"),
        (["--pretrained", "nothing"], "no pretrained pair 'nothing'"),
        (["--pretrained", "bus", "--trials", "0"], "it must be an integer from 1"),
        (["--pretrained", "bus", "--seed", "-1"], "it must be an integer from 0"),
        (["--pretrained", "bus", "-o", "bus.png"], "give a name that ends in .html"),
        (["nowhere"], "nowhere is not a directory"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(
    arguments: list[str], reported: str, capsys: pytest.CaptureFixture
) -> None:
    assert cli.run(["report", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("dream: ") and err.count("\n") == 1 and reported in err


# -- missing and damaged pieces ----------------------------------------------------------------------------------


def damage(path: Path, what: str) -> None:
    if what == "no checkpoints":
        shutil.rmtree(path / "checkpoints")
    elif what == "weights":
        for weights in (path / "checkpoints").glob("*/weights.safetensors"):
            weights.write_bytes(b"nothing")
    elif what == "metrics":
        text = (path / "metrics.jsonl").read_text(encoding="utf-8")
        (path / "metrics.jsonl").write_text(text + '{"step": 9\n', encoding="utf-8")
    elif what == "metrics are no text":
        (path / "metrics.jsonl").write_bytes(b"\xff\xfe\x00")
    elif what == "no timing":
        (path / "timing.jsonl").unlink()
    elif what == "eval":
        (path / "eval.csv").write_text("what,ever\n1,2\n", encoding="utf-8")
    elif what == "eval values":
        text = (path / "eval.csv").read_text(encoding="utf-8")
        (path / "eval.csv").write_text(text.replace(",test,return,", ",test,return,x"), encoding="utf-8")
    elif what == "config":
        (path / "config.yaml").write_text("just a line\n", encoding="utf-8")
    else:
        (path / "config.yaml").write_text("method: dream\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("what", "reported"),
    [
        ("no checkpoints", "cannot be played"),
        ("weights", "cannot be played"),
        ("metrics", "is damaged at line"),
        ("metrics are no text", "metrics.jsonl of dream, seed 0 cannot be read"),
        ("no timing", "its curve has no minutes"),
        ("eval", "eval.csv of dream, seed 0 cannot be read"),
        ("eval values", "eval.csv of dream, seed 0 cannot be read"),
        ("config", "is left out"),
        ("config without a method", "names no method"),
    ],
)
def test_a_damaged_run_still_gives_a_report(copied: Path, tmp_path: Path, what: str, reported: str) -> None:
    damage(copied / "dream" / "s0", what)
    paths = [copied / "dream" / "s0", copied / "rl2" / "s0"]
    page = write_report(paths, tmp_path / "report.html", trials=2)
    assert any(reported in sentence for sentence in page.missing), page.missing
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Missing data" in text and [m["name"] for m in page.methods][-1] == "rl2, seed 0"
    if what in ("metrics", "metrics are no text", "no timing", "eval", "eval values"):
        assert len(page.methods) == 2 and "<th scope=row>dream" in page.scores_html


def test_the_seed_with_the_median_score_is_played(runs: Path) -> None:
    run = find_runs([runs / "rl2"])[0][0]
    found = [dataclasses.replace(run, seed=seed) for seed in range(5)]
    scores = {0: 0.9, 1: 0.1, 2: 0.5, 3: 0.7, 4: 0.2}

    def scored(seeds: Sequence[int]) -> list[RunScores]:
        return [RunScores("signpost", "rl2", seed, "return", scores[seed], None, None, {}, None) for seed in seeds]

    assert [one.seed for one in median_first("rl2", found, scored(range(5)))] == [2, 4, 3, 1, 0]
    assert [one.seed for one in median_first("rl2", found, scored([0, 1]))] == [1, 0, 2, 3, 4]  # the lower one of two
    assert [one.seed for one in median_first("rl2", found, [])] == [0, 1, 2, 3, 4]


def test_failures_and_the_best_are_among_the_trials() -> None:
    method, env, _ = load_method(pretrained("bus"), members=16)
    recorded = record_trials(method, env, spread_over_problems(env, "test", 16, 0), 0)
    returns = np.full((16, 1), 0.5)  # more than halfway from 0.3 to 0.8 would be 0.55
    returns[11], returns[3], returns[14] = -1.0, 0.8, 0.6
    rows, outcomes = chosen_trials(
        dataclasses.replace(recorded, returns=returns, optimal=np.full((16, 1), 0.8)), 0.3, 6
    )
    assert len(rows) == 6 == len(set(rows)) and rows[:3] == [0, 1, 2] and {11, 3} <= set(rows)
    reported = dict(zip(rows, outcomes, strict=True))
    assert reported[0] == reported[11] == "failure" and reported[3] == "optimal"
    rows, outcomes = chosen_trials(
        dataclasses.replace(recorded, returns=returns, optimal=np.full((16, 1), 0.8)), None, 16
    )
    reported = dict(zip(rows, outcomes, strict=True))
    assert (
        reported[0] == reported[14] == "suboptimal" and reported[3] == "optimal"
    )  # without the floor nothing is a failure
    rows, outcomes = chosen_trials(dataclasses.replace(recorded, returns=returns, optimal=None), None, 16)
    reported = dict(zip(rows, outcomes, strict=True))
    assert reported[3] == reported[14] == "above the median" and reported[0] == reported[11] == "median or below"


def test_runs_of_other_parameters_are_refused(copied: Path) -> None:
    config = copied / "rl2" / "s0" / "config.yaml"
    text = config.read_text(encoding="utf-8")
    assert "env_parameters: {}" in text
    config.write_text(text.replace("env_parameters: {}", "env_parameters: {description: x}"), encoding="utf-8")
    assert len(find_runs([copied])[0]) == 3
    config.write_text(text.replace("env_parameters: {}", "env_parameters: {buttons: 4}"), encoding="utf-8")
    with pytest.raises(UserError, match=r"with {'buttons': 4}, .* with no parameters: make a report of each"):
        find_runs([copied])


def test_weights_that_are_not_finite_are_named(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(path: Path, members: int) -> Any:
        method, env, step = load_method(path, members=members)
        for parameter in method.averaged.parameters():
            parameter.fill_(torch.nan)
        return method, env, step

    monkeypatch.setattr(build, "load_method", lost)
    page = write_report([runs / "dream" / "s0"], tmp_path / "report.html", trials=1)
    assert page.methods == [] and "dream, seed 0 cannot be played" in page.missing[0]


def test_another_seed_is_played_where_one_cannot_be(copied: Path, tmp_path: Path) -> None:
    played = write_report([copied / "dream"], tmp_path / "report.html", trials=1).methods[0]["name"]
    damage(copied / "dream" / played.replace("dream, seed ", "s"), "weights")
    page = write_report([copied / "dream"], tmp_path / "report.html", trials=1)
    assert page.methods[0]["name"] != played and any(
        f"{played} cannot be played" in reported for reported in page.missing
    )


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a&b'\"", "</script><b>"])
def test_text_of_a_run_is_escaped(copied: Path, tmp_path: Path, name: str) -> None:
    run = copied / "dream" / "s0"
    config = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(re.sub(r"method: dream", f"method: {json.dumps(name)}", config), encoding="utf-8")
    write_report([run, copied / "rl2"], tmp_path / "report.html", trials=1)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert name not in text and "alert(1)</script>" not in text
    assert Elements(text).data["methods"]  # the data is whole


def test_text_in_the_data_cannot_end_its_element() -> None:
    method = {"name": "</script><script>alert(1)</script>", "trials": [], "actions": [], "space": None, "tile": 16}
    text = render(Page("t", [], methods=[method]))
    assert text.count("<script>") == 1 and Elements(text).data["methods"][0]["name"] == method["name"]


def test_directories_that_cannot_be_reported_are_refused(runs: Path, copied: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no run"):
        find_runs([tmp_path / "empty"])
    with pytest.raises(UserError, match="is not a directory"):
        find_runs([tmp_path / "nowhere"])
    with pytest.raises(UserError, match="are both dream, seed 0"):
        find_runs([runs / "dream" / "s0", copied / "dream" / "s0"])
    with pytest.raises(UserError, match=r"several families \(bus, signpost\)"):
        find_runs([pretrained("bus"), runs / "rl2"])
    with pytest.raises(UserError, match="is a directory"):
        write_report([runs], tmp_path)
    for path in (copied / "dream" / "s0", copied / "dream" / "s1", copied / "rl2" / "s0"):
        damage(path, "config")
    with pytest.raises(UserError, match="none of these runs can be read"):
        find_runs([copied])
    assert [run.name for run in find_runs([runs, runs / "dream" / "s0"])[0]] == [
        "dream, seed 0", "dream, seed 1", "rl2, seed 0"
    ]  # fmt: skip
