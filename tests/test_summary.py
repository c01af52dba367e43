"""From tidy rows to numbers, tables and figures: by hand, and on the committed results."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from dream import cli
from dream.errors import UserError
from dream.eval.compare.figures import on_one_grid
from dream.eval.compare.files import choose_rows, write_comparison
from dream.eval.compare.summary import first_reaching, improvements, read_runs, summarise
from dream.eval.compare.tables import markdown, summary_rows
from dream.eval.statistics import performance_profile

ROOT = Path(__file__).resolve().parent.parent
Row = dict[str, object]


def rows_of(
    method: str,
    seed: int,
    score: float,
    curve: list[tuple[int, float, float]] = (),  # type: ignore[assignment]
    env: str = "bus",
    normalised: bool = True,
) -> list[Row]:
    """A run whose test score is `score`; its curve is (step, seconds, score)."""

    def row(step: int, split: str, metric: str, value: float) -> Row:
        names = ("env", "method", "seed", "step", "split", "metric", "value")
        return dict(zip(names, (env, method, seed, step, split, metric, value), strict=True))

    rows = [row(900, split, "return", 0.3 + 0.5 * score) for split in ("test", "train")]
    rows.append(row(900, "test", "explore_length", 10.0 + seed))
    if normalised:
        rows += [row(900, "test", "normalised", score), row(900, "train", "normalised", min(score + 0.1, 1.0))]
    for step, seconds, value in curve:
        rows += [row(step, "validation", "return", value), row(step, "validation", "seconds", seconds)]
        rows += [row(step, "validation", "normalised", value)] if normalised else []
    return rows


# Dream: seeds at 1, 0.8, 0.9 and one that never learned; 50% after 100, 200, 300 steps and never.
DREAM = [
    *rows_of("dream", 0, 1.0, [(100, 60.0, 0.5), (200, 120.0, 0.95)]),
    *rows_of("dream", 1, 0.8, [(100, 66.0, 0.4), (200, 132.0, 0.5)]),
    *rows_of("dream", 2, 0.9, [(100, 54.0, -1.0), (300, 240.0, 0.9)]),
    *rows_of("dream", 3, 0.05, [(100, 60.0, 0.0), (200, 120.0, 0.49)]),
]
RANDOM = [*rows_of("random", 0, 0.1), *rows_of("random", 1, 0.2)]


def test_first_reaching_by_hand():
    steps, score = np.array([10.0, 20.0, 30.0]), np.array([0.2, 0.5, 0.4])
    assert first_reaching(steps, score, 0.5) == 20  # at the share counts, and falling back later does not undo it
    assert first_reaching(steps, score, 0.2) == 10
    assert first_reaching(steps, score, 0.51) == math.inf


def test_a_summary_by_hand():
    dream, random = summarise(read_runs([*DREAM, *RANDOM]))
    assert (dream.method, dream.seeds, dream.scores) == ("dream", (0, 1, 2, 3), (1.0, 0.8, 0.9, 0.05))
    assert dream.iqm.value == pytest.approx(0.85)  # one of four goes at each end
    assert dream.mean == pytest.approx(0.6875) and dream.final_iqm is None
    assert dream.ranged and (dream.iqm.low, dream.iqm.high) == (0.05, 1.0)
    assert dream.return_mean == pytest.approx(0.3 + 0.5 * 0.6875) and dream.explore_length == 11.5
    assert dream.train_iqm == pytest.approx((0.9 + 1.0) / 2)
    half, most = dream.reached
    # Steps 100, 200, 300, never: the median lies between 200 and 300; minutes 1, 2.2, 4, never.
    assert (half.share, half.seeds, half.steps, half.minutes) == (0.5, 3, 250.0, pytest.approx(3.1))
    # Steps 200, 300, never, never: between 300 and never is never.
    assert (most.share, most.seeds, most.steps, most.minutes) == (0.9, 2, math.inf, math.inf)
    assert random.reached == ()


def test_probability_of_improvement_over_the_first():
    (pair,) = improvements(summarise(read_runs([*DREAM, *RANDOM])))
    assert (pair.method, pair.baseline) == ("dream", "random")
    assert pair.probability.value == 0.75  # three of four seeds beat both, the fourth neither
    assert pair.probability.low < 0.75 < pair.probability.high


def test_five_seeds_have_an_interval_and_fewer_a_range():
    scores = [0.5, 0.9, 0.7, 0.6, 1.0]
    five, three = (summarise(read_runs([row for i in range(n) for row in rows_of("m", i, scores[i])])) for n in (5, 3))
    assert "| 0.733 [0.500, 1.000] |" in markdown(five) and "| 0.700 (0.500 to 0.900) |" in markdown(three)


def final_row(run: list[Row], metric: str, score: float, step: int) -> list[Row]:
    return [*run, {**run[0], "step": step, "metric": metric, "value": score}]


def test_the_score_of_the_final_weights_stands_beside_that_of_the_best():
    chosen = [*final_row(rows_of("m", 0, 1.0), "final_normalised", 0.6, 1000)]
    chosen += final_row(rows_of("m", 1, 0.8), "final_normalised", 0.4, 1000)
    (summary,) = summarise(read_runs(chosen))
    assert summary.scores == (1.0, 0.8) and summary.final_iqm == pytest.approx(0.5)
    # Where validation problems are test problems the final weights give the score, and the best have other rows
    (summary,) = summarise(read_runs(final_row(rows_of("m", 0, 0.3), "best_normalised", 0.9, 500)))
    assert summary.scores == (0.3,) and summary.final_iqm == pytest.approx(0.3)


def test_a_single_seed_has_no_interval():
    summaries = summarise(read_runs([*rows_of("dream", 0, 1.0), *RANDOM]))
    assert math.isnan(summaries[0].iqm.low) and math.isnan(improvements(summaries)[0].probability.low)
    assert summary_rows(summaries)[0]["iqm_low"] is None
    assert "| 1.000 | 1.00 |" in markdown(summaries)


def test_without_bounds_the_return_is_the_score():
    rows = [*rows_of("dream", 0, 1.0, [(100, 60.0, 5.0)], normalised=False), *rows_of("random", 0, 0.1)]
    dream, random = summarise(read_runs(rows))
    assert (dream.measure, random.measure) == ("return", "return")
    assert dream.scores == (0.8,) and dream.reached == ()
    assert "without known bounds" in markdown([dream])


def test_families_and_methods_keep_their_order_and_runs_in_training_are_left_out():
    training = [row for row in rows_of("rnd", 0, 1.0, [(1, 1.0, 0.0)]) if row["split"] == "validation"]
    rows = [*rows_of("b", 1, 1.0, env="map"), *rows_of("a", 0, 1.0), *training, *rows_of("b", 0, 1.0, env="map")]
    assert [(run.env, run.method, run.seed) for run in read_runs(rows)] == [
        ("map", "b", 0),
        ("map", "b", 1),
        ("bus", "a", 0),
    ]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([*DREAM, *DREAM[:1]], "bus dream seed 0 step 900 has test return twice"),
        ([*DREAM, {**DREAM[0], "step": 901}], "bus dream seed 0 has test rows of several steps (900, 901)"),
        ([row for row in RANDOM if row["metric"] == "normalised"], "bus random seed 0 has no test return"),
        ([{**RANDOM[0], "value": "high"}], "'high' is not a number (bus random return)"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(rows: list[Row], sentence: str):
    with pytest.raises(UserError) as refusal:
        read_runs(rows)
    assert sentence in str(refusal.value)


def test_the_markdown_reports_never_and_counts():
    line = next(line for line in markdown(summarise(read_runs(DREAM))).splitlines() if "| dream |" in line)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[2:7] == ["0.850 (0.050 to 1.000)", "1.00 0.80 0.90 0.05", "0.688", "-", "11.5"]
    assert cells[7:9] == ["250 (3 of 4) / never (2 of 4)", "3.1 / never"]


def test_performance_profile_by_hand():
    shares = performance_profile([0.0, 0.5, 0.5, 1.0], [-0.1, 0.0, 0.5, 1.0])
    np.testing.assert_allclose(shares, [1.0, 0.75, 0.25, 0.0])
    two_tasks = performance_profile([[0.0, 1.0], [1.0, 1.0]], [0.5])
    np.testing.assert_allclose(two_tasks, [0.75])


def test_curves_of_several_seeds_on_one_grid_by_hand():
    a = (np.array([0.0, 2.0, 4.0]), np.array([0.0, 2.0, 2.0]))
    b = (np.array([1.0, 3.0, 9.0]), np.array([1.0, 3.0, 9.0]))
    x, each = on_one_grid([a, b])
    np.testing.assert_allclose(x, [1, 2, 3, 4])  # from where the last begins to where the first ends
    np.testing.assert_allclose(each, [[1, 2, 2, 2], [1, 2, 3, 4]])
    x, each = on_one_grid([a, (np.array([5.0]), np.array([0.0]))])
    assert x.shape == (0,) and each.shape == (2, 0)


# -- files -------------------------------------------------------------------------------------------------------


def test_all_files_are_written_and_name_the_methods(tmp_path: Path):
    rows = [*DREAM, *RANDOM, *rows_of("dream[explorer.step_cost=0]", 0, 0.4, [(100, 60.0, 0.4)])]
    reference = [{**DREAM[0], "method": "the paper", "split": "validation", "metric": "normalised", "value": 0.5}]
    written = write_comparison(rows, tmp_path / "out", reference)
    names = ["results.csv", "summary.csv", "summary.md", "improvement.csv", "curves_steps.svg", "curves_wallclock.svg"]
    names += ["scores.svg", "profiles.svg", "improvement.svg"]
    assert [path.name for path in written.files] == names and all(path.is_file() for path in written.files)
    text = {path.name: path.read_text() for path in written.files}
    for name in names:
        assert "random" in text[name] and "explorer.step_cost=0" in text[name], name
    for name in ("curves_steps.svg", "scores.svg"):
        assert "optimum" in text[name] and "no exploration" in text[name]
    assert "the paper" in text["curves_steps.svg"] and "the paper" not in text["results.csv"]
    with (tmp_path / "out" / "summary.csv").open() as file:
        assert [row["steps_to_90"] for row in csv.DictReader(file)] == ["inf", "", "inf"]
    again = write_comparison(rows, tmp_path / "again", reference)
    assert [path.read_bytes() for path in again.files] == [path.read_bytes() for path in written.files]


def test_seeds_of_very_different_speed_are_drawn(tmp_path: Path):
    slow, fast = [(100, 600.0, 0.5), (200, 900.0, 0.6)], [(100, 6.0, 0.5), (200, 9.0, 0.6)]
    written = write_comparison([*rows_of("dream", 0, 1.0, slow), *rows_of("dream", 1, 1.0, fast)], tmp_path)
    assert tmp_path / "curves_wallclock.svg" in written.files


def test_figures_that_cannot_be_drawn_are_removed(tmp_path: Path):
    write_comparison([*DREAM, *RANDOM], tmp_path)
    written = write_comparison(RANDOM, tmp_path)
    assert {path.name for path in written.files if path.suffix == ".svg"} == {"scores.svg", "profiles.svg"}
    assert {path.name for path in tmp_path.glob("*.svg")} == {"scores.svg", "profiles.svg"}


def test_without_bounds_there_are_no_lines(tmp_path: Path):
    rows = [row for seed in (0, 1) for row in rows_of("dream", seed, 1.0, [(100, 6.0, 5.0)], normalised=False)]
    write_comparison(rows, tmp_path)
    assert "optimum" not in (tmp_path / "curves_steps.svg").read_text()
    assert "return on test problems" in (tmp_path / "scores.svg").read_text()


def test_many_methods_get_a_panel_each(tmp_path: Path):
    rows = [row for i in range(12) for row in rows_of(f"method{i}", 0, i / 12, [(100, 60.0, i / 12), (200, 90.0, 1.0)])]
    write_comparison(rows, tmp_path)
    for name in ("curves_steps.svg", "profiles.svg"):
        text = (tmp_path / name).read_text()
        assert text.count('<g id="axes_') == 12 and all(text.count(f">method{i}<") == 1 for i in range(12))


def test_the_committed_results_can_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture):
    grids, sign = (str(ROOT / "results" / name) for name in ("before_transitions.csv", "sign.csv"))
    assert cli.run(["compare", "--from", grids, "--env", "bus", "--out", str(tmp_path / "bus")]) == 0
    assert "1.000" in capsys.readouterr().out and (tmp_path / "bus" / "improvement.svg").is_file()
    out = str(tmp_path / "all")
    assert (
        cli.run(
            ["compare", "--from", grids, sign, "--env", "map", "sign", "--methods", "oracle", "dream", "--out", out]
        )
        == 0
    )
    lines = (tmp_path / "all" / "summary.md").read_text().splitlines()
    assert [line.split("|")[1:3] for line in lines[2:5]] == [
        [" map ", " oracle "],
        [" map ", " dream "],
        [" sign ", " dream "],
    ]
    assert (tmp_path / "all" / "sign" / "curves_wallclock.svg").is_file()


def test_choosing_missing_rows_is_refused(tmp_path: Path):
    grids = ROOT / "results" / "before_transitions.csv"
    with pytest.raises(UserError, match="no row has env 'buss': choose from bus, map, cooking"):
        choose_rows([grids], ["buss"])
    with pytest.raises(UserError, match=r"nowhere\.csv does not exist"):
        choose_rows([tmp_path / "nowhere.csv"])
    with pytest.raises(UserError, match="is no tidy CSV"):
        choose_rows([ROOT / "results" / "sign_links.csv"])
    with pytest.raises(UserError, match="no test score"):
        write_comparison([], tmp_path)
