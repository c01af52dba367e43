"""The coupling study: updates by hand, means that theory gives exactly, slopes, and the command."""

import csv
import io
import json
import math
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from dream import cli
from dream.errors import UserError
from dream.eval.coupling.exact import (
    LEARNERS,
    MAKE,
    Coupled,
    Decoupled,
    Family,
    Samples,
    greedy,
    samples_to_solve,
    strictly_best,
)
from dream.eval.coupling.figure import draw
from dream.eval.coupling.study import PARTS, executor_trials, fit_slope, slope, study, summary, to_csv


def one(number: int) -> np.ndarray:
    """One run's index."""
    return np.array([number])


def learn(learner: Coupled | Decoupled, problem: int, explore: int, history: int, execute: int, reward: float) -> None:
    learner.update(one(problem), one(explore), one(history), one(execute), np.array([reward]))


def test_a_family_shows_the_problem_under_one_action_only():
    family = Family(informative=one(2), right=np.array([[1, 0]]), actions=3)
    assert [int(family.history(one(1), one(a))[0]) for a in range(3)] == [0, 1, 3 + 1]
    assert [float(family.reward(one(0), one(b))[0]) for b in range(3)] == [0, 1, 0]
    drawn = Family.draw(500, 5, 3, np.random.default_rng(0))
    assert all(len(set(row)) == 3 for row in drawn.right)
    assert set(drawn.informative) == set(drawn.right[:, 0]) == set(range(5))


def test_first_updates_of_the_coupled_learner_by_hand():
    """|A| = 2, M = 2, a* = 1: histories 0 (nothing shown), 2 and 3 (problem 0 and 1 shown)."""
    learner = Coupled(1, 2, 2)
    learn(learner, problem=0, explore=0, history=0, execute=1, reward=1)  # by luck
    assert learner.executor[0].tolist() == [[0, 1], [0, 0], [0, 0], [0, 0]]
    assert learner.explorer[0].tolist() == [1, 0]
    learn(learner, problem=1, explore=0, history=0, execute=1, reward=0)
    assert learner.executor[0, 0].tolist() == [0, 0.5]
    assert learner.explorer[0].tolist() == [0.75, 0]  # the mean of the targets 1 and 0.5
    learn(learner, problem=1, explore=1, history=3, execute=0, reward=1)
    assert learner.executor[0, 3].tolist() == [1, 0]
    assert learner.explorer[0].tolist() == [0.75, 1]
    # The executor fails: the explorer's target falls.
    learn(learner, problem=0, explore=1, history=2, execute=0, reward=0)
    assert learner.explorer[0].tolist() == [0.75, 0.5]
    assert learner.executes_right(one(1), one(0)).tolist() == [True]
    assert learner.executes_right(one(0), one(1)).tolist() == [False]  # 0 and 0: a tie is no knowledge


def test_first_updates_of_the_decoupled_learner_by_hand():
    learner = Decoupled(1, 2, 2)
    learn(learner, problem=1, explore=1, history=3, execute=0, reward=0)
    assert learner.explorer[0].tolist() == [0, 0]  # nothing counted yet: 1/2 against 1/2
    learn(learner, problem=1, explore=1, history=3, execute=0, reward=1)
    # Both q(mu | tau) and q(mu) are (1 + 1) / (1 + 2): the one trial before says as much of either.
    assert learner.explorer[0].tolist() == [0, 0]
    learn(learner, problem=0, explore=0, history=0, execute=0, reward=0)
    first = math.log(1 / 2) - math.log(1 / 4)
    assert learner.explorer[0] == pytest.approx([first, 0])
    learn(learner, problem=1, explore=1, history=3, execute=0, reward=1)
    third = math.log(3 / 4) - math.log(3 / 5)
    assert learner.explorer[0] == pytest.approx([first, third / 3])
    assert learner.executor[0].tolist() == [[0, 0], [pytest.approx(2 / 3), 0]]  # by id, whatever was shown
    assert learner.executes_right(one(1), one(0)).tolist() == [True]
    learn(learner, problem=0, explore=0, history=0, execute=1, reward=1)
    assert learner.executor[0, 0].tolist() == [0, 1]
    assert learner.executes_right(one(0), one(1)).tolist() == [False]  # right given the id, but not to be decoded yet


def test_runs_side_by_side_do_not_touch_each_other():
    for make in (Coupled, Decoupled):
        alone, both = make(1, 3, 2), make(2, 3, 2)
        for problem, explore, history, execute, reward in ((0, 2, 3, 1, 1.0), (1, 0, 0, 2, 0.0), (0, 2, 3, 1, 1.0)):
            learn(alone, problem, explore, history, execute, reward)
            trial = np.array([[problem, 1], [explore, 1], [history, 1], [execute, 0]])
            both.update(*trial, np.array([reward, 1.0]))
        np.testing.assert_array_equal(both.explorer[0], alone.explorer[0])
        np.testing.assert_array_equal(both.executor[0], alone.executor[0])


def test_ties_are_not_best_and_greedy_breaks_them_evenly():
    values = np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 2.0, 1.0]])
    assert strictly_best(values, np.array([0, 1, 2])).tolist() == [False, True, False]
    rng = np.random.default_rng(0)
    picks = np.stack([greedy(values, rng) for _ in range(1000)])
    assert 450 < (picks[:, 0] == 0).sum() < 550 and not (picks[:, 0] == 2).any() and (picks[:, 1:] == 1).all()


@pytest.mark.parametrize("epsilon", [1.0, 0.2])
@pytest.mark.parametrize("learner", LEARNERS)
def test_both_learners_solve_two_actions(learner, epsilon):
    samples = samples_to_solve(learner, 2, 2, runs=50, max_trials=20_000, epsilon=epsilon)
    assert np.isfinite(samples.pair).all()
    np.testing.assert_array_equal(samples.pair, np.maximum(samples.explorer, samples.executor))


@pytest.mark.parametrize("epsilon", [1.0, 0.2])
def test_epsilon_is_the_share_of_even_actions_in_both_phases(epsilon, monkeypatch):
    shares = []

    class Watched(Coupled):
        def update(self, problem, explore, history, execute, reward):
            row, values = np.arange(len(problem)), self.execute_values(problem, history)
            best = [self.explorer[row, explore] == self.explorer.max(1), values[row, execute] == values.max(1)]
            shares.append([phase.mean() for phase in best])
            super().update(problem, explore, history, execute, reward)

    monkeypatch.setitem(MAKE, "coupled", Watched)
    samples_to_solve("coupled", 8, 2, runs=20, max_trials=2_000, epsilon=epsilon)
    for share in np.mean(shares[1000:], axis=0):  # by then few ties are left
        assert share == pytest.approx(1 - epsilon + epsilon / 8, abs=0.03)


def test_mean_trials_of_the_executor_are_those_of_theory():
    """Within 4 standard errors; exactly by inclusion and exclusion for M = 2, where the coupons may come in pairs."""
    actions, runs = 4, 1500
    assert executor_trials("coupled", actions, 2) == 4 * 4 * 2 * 1.5
    a = 1 / actions
    either = a + a - a * a  # a trial in a problem brings one of its two coupons or both
    meets = [
        (4, a / 2), (-2, either / 2), (-4, a), (4, (either + a) / 2), (-1, either)
    ]  # fmt: skip
    exact = {"coupled": 48.0, "decoupled": sum(sign / chance for sign, chance in meets)}
    assert exact["decoupled"] == pytest.approx(executor_trials("decoupled", actions, 2), rel=0.05)
    for learner in LEARNERS:
        trials = samples_to_solve(learner, actions, 2, runs=runs, max_trials=100_000).executor
        assert abs(trials.mean() - exact[learner]) < 4 * trials.std() / math.sqrt(runs), learner


def test_a_run_that_is_not_solved_in_time_is_infinite():
    samples = samples_to_solve("coupled", 4, 4, runs=40, max_trials=200)
    solved = np.isfinite(samples.pair)
    assert solved.any() and not solved.all()
    assert (samples.pair[solved] <= 100).all()  # optimal from 100 to 200 at the latest
    assert (samples.executor <= samples.pair).all() and (samples.explorer <= samples.pair).all()


def test_same_seed_twice_and_another_seed():
    def run(seed: int, epsilon: float) -> list[float]:
        return samples_to_solve("decoupled", 4, 3, runs=10, seed=seed, epsilon=epsilon).pair.tolist()

    for epsilon in (1.0, 0.3):
        assert run(3, epsilon) == run(3, epsilon) != run(4, epsilon)
    assert run(3, 1.0) != run(3, 0.3)


def test_a_slope_by_hand():
    exact = np.array([[3.0] * 5, [12.0] * 5, [48.0] * 5])  # 3 |A|^2 / 4 at 2, 4, 8
    assert fit_slope([2, 4, 8], exact) == pytest.approx((2.0, 2.0, 2.0))
    noisy = exact * np.exp(np.random.default_rng(0).normal(0, 0.5, exact.shape))
    fitted = fit_slope([2, 4, 8], noisy)
    assert fitted.low < fitted.value < fitted.high and fitted == fit_slope([2, 4, 8], noisy)


def test_unsolved_runs_widen_a_slope_or_remove_it():
    some = np.array([[3.0] * 5, [12.0] * 3 + [np.inf] * 2])
    value, _, high = fit_slope([2, 4], some)
    assert value == pytest.approx(2.0) and high == math.inf
    most = np.array([[3.0] * 5, [12.0] * 2 + [np.inf] * 3])
    assert all(math.isnan(number) for number in fit_slope([2, 4], most))
    with pytest.raises(ValueError, match="two different"):
        fit_slope([4, 4], some)


def test_the_coupled_slope_is_above_the_decoupled_one_and_both_are_near_theory():
    printed: list[int] = []
    found = study([4, 8, 16], 2, 60, 0, 200_000, 1.0, printed.append)
    coupled, decoupled = (slope(found, learner, "pair") for learner in LEARNERS)
    assert decoupled.high < coupled.low
    assert abs(slope(found, "coupled", "executor").value - 2) < 0.3
    assert abs(slope(found, "decoupled", "executor").value - 1) < 0.3
    assert printed == sorted(printed)
    rows = summary(found)["rows"]
    assert [row["actions"] for row in rows] == [4, 8, 16] * 2 and all(row["solved"] == 60 for row in rows)
    assert all(row["pair"][0] <= row["pair"][1] <= row["pair"][2] for row in rows)


def test_csv_and_picture_of_a_study():
    found = study([4, 8], 4, 3, 5, 900, 1.0)
    rows = list(csv.DictReader(io.StringIO(to_csv(found, 5, 1.0))))
    assert len(rows) == 2 * 2 * 3 and {row["seed"] for row in rows} == {"5"}
    for number, samples in enumerate(found):
        for row, pair in zip(rows[3 * number : 3 * number + 3], samples.pair, strict=True):
            assert (row["learner"], row["actions"]) == (samples.learner, str(samples.actions))
            assert row["pair"] == (str(int(pair)) if np.isfinite(pair) else "")
    picture = draw(found, 1.0)
    assert ET.fromstring(picture).tag.endswith("svg") and picture == draw(found, 1.0)


ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", ["coupling", "coupling_epsilon"])
def test_the_page_says_what_the_committed_runs_say(name):
    with (ROOT / "results" / f"{name}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = []
    for learner in LEARNERS:
        for actions in sorted({int(row["actions"]) for row in rows}):
            mine = [row for row in rows if (row["learner"], int(row["actions"])) == (learner, actions)]
            trials = {part: np.array([float(row[part] or "inf") for row in mine]) for part in PARTS}
            found.append(Samples(learner, actions, int(mine[0]["problems"]), **trials))
    printed, page = summary(found), (ROOT / "docs" / "coupling.md").read_text(encoding="utf-8")
    assert f"results/{name}.csv" in page
    for row in printed["rows"]:
        medians = " | ".join(f"{row[part][1]:,.0f}" for part in PARTS)
        means = f" {row['executor_mean']:,.0f} | {row['executor_theory']:,.0f} |" if name == "coupling" else ""
        assert f"| {row['learner']} | {row['actions']} | {medians} |{means}" in page
    for learner, slopes in printed["slopes"].items():
        fitted = " | ".join("{value:.2f} [{low:.2f}, {high:.2f}]".format(**slopes[part]) for part in PARTS)
        assert f"| {learner} | slope | {fitted} |" in page


# -- the command -------------------------------------------------------------------------------------------------

SMALL = ("coupling", "--actions", "4", "2", "--problems", "2", "--runs", "8")


def test_the_command_writes_table_and_figure(capsys):
    assert cli.run([*SMALL, "--json", "--out", "here/deep"]) == 0
    out, err = capsys.readouterr()
    printed = json.loads(out)
    assert printed["csv"] == "here/deep/coupling.csv" and "ETA" in err
    first = Path(printed["csv"]).read_text(encoding="utf-8")
    assert ET.parse(printed["figure"]).getroot().tag.endswith("svg")
    assert {row["solved"] for row in printed["rows"]} == {8}
    assert printed["slopes"]["coupled"]["theory"] == 2
    assert cli.run([*SMALL, "--out", "here/deep"]) == 0
    text = capsys.readouterr().out
    assert "slope, theory 1" in text and "Figure: here/deep/coupling.svg" in text
    assert Path(printed["csv"]).read_text(encoding="utf-8") == first


def test_the_command_says_when_runs_were_not_solved(capsys):
    assert cli.run([*SMALL, "--max-trials", "10"]) == 0
    assert "raise --max-trials" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--actions", "4"], "--actions are [4]: give two numbers or more, all different"),
        (["--actions", "4", "4"], "all different"),
        (["--problems", "5"], "5 problems with 4 actions: give at least 2 problems and at least as many actions"),
        (["--problems", "1"], "1 problems with 4 actions"),
        (["--runs", "0"], "--runs is 0: it must be an integer from 1"),
        (["--seed", "-1"], "--seed is -1: it must be an integer from 0"),
        (["--max-trials", "0"], "--max-trials is 0"),
        (["--epsilon", "0"], "--epsilon is 0.0: it must be a number above 0 and at most 1"),
        (["--epsilon", "nan"], "--epsilon is nan"),
        (["--out", "file/below"], "choose another directory with --out"),
    ],
)
def test_bad_values_are_refused_before_anything_runs(arguments, sentence, capsys):
    Path("file").touch()
    assert cli.run(["coupling", *arguments]) == 2
    out, err = capsys.readouterr()
    assert sentence in err and err.count("\n") == 1 and not out
    assert [str(path) for path in Path().iterdir()] == ["file"]


def test_numbers_are_checked_from_python_too():
    with pytest.raises(UserError, match="3 problems with 2 actions"):
        samples_to_solve("coupled", 2, 3)
