"""Posterior sampling against values worked out by hand."""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.posterior_sampling import table
from dream.envs import make
from dream.errors import UserError
from dream.eval.posterior_sampling import PosteriorSampling, draw_problems, posterior_sampling_return

TRIALS = 2400


def sampled(family: str, explorations: int, trials: int = TRIALS, **arguments: object) -> PosteriorSampling:
    return posterior_sampling_return(make(family, trials), "test", trials, explorations, **arguments)  # type: ignore[arg-type]


def near(found: PosteriorSampling, expected: float) -> bool:
    return abs(found.mean - expected) < 4 * found.standard_error


def test_posterior_sampling_never_reads_the_signpost() -> None:
    for explorations in (0, 3):
        found = sampled("signpost", explorations)
        assert near(found, 0.0) and set(found.returns) == {-1.0, 1.0}
        assert (found.problems_left == 2).all() and (found.optimal == 1).all()
    assert found.explorations["read_sign"].tolist() == [0.0] * TRIALS


def test_map_by_hand() -> None:
    """The corner asked for is at the end of one of four lines; what is earned after a wrong guess is measured."""
    guess = sampled("map", 0)
    right = guess.returns > 0.75
    assert abs(right.mean() - 1 / 4) < 0.04  # P(guessed line leads there)
    assert (guess.returns[right] == pytest.approx(0.8)) and (guess.problems_left == 24).all()
    # One exploration rides a line (two when the first surprises it and another is on the way back): with k lines
    # known, the line asked for is known with k / 4, else guessed among 4 - k.
    once = sampled("map", 1)
    left = once.problems_left
    assert set(left) <= {1, 2, 6}  # 3! orders with one line known, 2! with two, one with three or the sign
    chance = np.select([left == 6, left == 2, left == 1], [1 / 4 + 3 / 4 / 3, 2 / 4 + 2 / 4 / 2, 1.0])
    assert abs((once.returns > 0.75).mean() - chance.mean()) < 0.04
    assert once.mean > guess.mean + 0.1


def test_the_instruction_is_evidence_too() -> None:
    """A recipe of two kinds is never cooked in a kitchen that holds but one: no such kitchen is believed in."""
    env = make("cooking", 512)
    seen: list[np.ndarray] = []
    original = env.expert

    def spy(problem_id: np.ndarray, instruction: np.ndarray):  # type: ignore[no-untyped-def]
        seen.append(env.instruction_probability(problem_id, instruction))
        return original(problem_id, instruction)

    env.expert = spy  # type: ignore[method-assign]
    posterior_sampling_return(env, "test", 512, 1)
    assert all((probability > 0).all() for probability in seen) and len(seen) == 3


def test_more_explorations_leave_fewer_problems_and_end_at_the_optimum() -> None:
    found = [sampled("cooking", k, 800) for k in (0, 1, 8)]
    assert found[0].mean < found[1].mean < found[2].mean
    assert found[0].problems_left.tolist() == [64] * 800
    assert found[2].problems_left.mean() < 1.05 < found[1].problems_left.mean()
    assert np.isclose(found[2].returns, found[2].optimal).mean() > 0.97
    assert all((one.returns <= one.optimal + 1e-5).all() for one in found)


def test_an_executor_that_goes_on_believing_repeats_what_fails() -> None:
    """On cooking it opens the same drawer until the horizon, and learns its contents alone."""
    found = sampled("cooking", 1, 800, doubt="believes")
    wrong = found.returns < found.optimal - 1e-5
    assert 0.3 < wrong.mean() < 0.9 and np.median(found.returns[wrong]) < -4  # a mistake in every step
    assert found.explorations["drawers_opened"].mean() < 1.3 and found.explorations["pick_ups"].mean() > 10
    # On map it rides to and fro on the line that it believes in
    found = sampled("map", 1, 800, doubt="believes")
    assert found.explorations["useful_rides"].mean() > 10 and set(found.explorations["read_sign"]) == {0.0}


def test_the_belief_is_worth_more_than_a_sample_from_it() -> None:
    """One useful line of four is known: its corner earns 0.8, each other corner what knowing one line is worth."""
    found = posterior_sampling_return(make("map", 600), "all", 600, 1, doubt="believes", executes_on="belief")
    env = make("map", 1)
    assert set(found.problems_left) == {6}
    known = [p for p in range(24) if (env.destinations[p, 0] == env.destinations[0, 0]).all()]  # type: ignore[attr-defined]
    by_hand = [env.belief_return(np.array(known), np.array(corner)) for corner in env.corners]  # type: ignore[attr-defined]
    assert sorted(by_hand)[-1] == pytest.approx(0.8)
    assert found.mean == pytest.approx(np.mean(by_hand), abs=0.03)
    corrected = sampled("map", 1)
    assert corrected.mean < found.mean


@pytest.mark.parametrize("family", ["map", "cooking"])
def test_the_return_of_a_belief_in_everything_is_that_without_exploration(family: str) -> None:
    env = make(family, 1)
    everything = np.arange(env.problems.num_problems)
    rng = np.random.default_rng(0)
    instruction = env.sample_instruction(np.repeat(everything, 40), rng)
    returns = [env.belief_return(everything, one) for one in np.unique(instruction, axis=0)]
    chance = [env.instruction_probability(everything, np.tile(one, (len(everything), 1))).mean()
              for one in np.unique(instruction, axis=0)]  # fmt: skip
    assert np.dot(returns, chance) / np.sum(chance) == pytest.approx(env.no_exploration_return())


def test_batches_and_seeds() -> None:
    same = [posterior_sampling_return(make("map", 64), "test", 100, 1, seed=seed) for seed in (3, 3, 4)]
    assert (same[0].returns == same[1].returns).all() and (same[0].returns != same[2].returns).any()
    for one in same:
        assert one.returns.shape == one.optimal.shape == one.problems_left.shape == (100,)
        assert all(value.shape == (100,) for value in one.explorations.values())
        assert np.bincount(one.problem_id, minlength=24).min() >= 4
        assert one.standard_error == pytest.approx(one.returns.std(ddof=1) / 10)


def test_draws_follow_the_weights_and_never_take_a_weight_of_zero() -> None:
    weight = np.tile([0.0, 3.0, 0.0, 1.0, 0.0], (40_000, 1))
    drawn = np.bincount(draw_problems(weight, np.random.default_rng(0)), minlength=5) / 40_000
    assert drawn[[0, 2, 4]].tolist() == [0, 0, 0] and abs(drawn[1] - 0.75) < 0.01


def test_a_prior_that_rules_out_the_truth_is_refused() -> None:
    with pytest.raises(UserError, match="is inconsistent with every problem of split 'train': use prior 'all'"):
        sampled("cooking", 4, 64, prior="train")
    found = posterior_sampling_return(make("cooking", 64), "train", 64, 1, prior="train")
    assert found.problems_left.max() <= 40


def test_the_page_shows_the_committed_results() -> None:
    root = Path(__file__).resolve().parent.parent
    with (root / "results" / "posterior_sampling.csv").open(encoding="utf-8") as file:
        read: list[Any] = [
            (
                *(r[name] for name in ("env", "doubt", "executes_on")),
                int(r["explore_episodes"]),
                r["split"],
                int(r["seed"]),
                r["metric"],
                float(r["value"]),
            )
            for r in csv.DictReader(file)
        ]
    page = (root / "docs" / "posterior-sampling.md").read_text(encoding="utf-8")
    assert re.search(r"<!-- bound:begin -->\n(.*)\n<!-- bound:end -->", page, re.S)[1] == table(read)  # type: ignore[index]
    # What the text says besides.
    value = {(env, k, metric): value for env, *kind, k, _, _, metric, value in read if kind == ["corrects", "sample"]}
    assert round(100 * value["map", 1, "read_sign"]) == 3
    assert all(value["signpost", k, "read_sign"] == 0 for k in (1, 2, 4))
    assert value["cooking", 1, "drawers_opened"] > 2.5
    assert 0.2 < value["bus", 1, "normalised"] < 0.3 and value["bus", 0, "normalised"] < 0


@pytest.mark.parametrize(
    ("family", "arguments", "message"),
    [
        ("map", {"split": "tests"}, "unknown split 'tests'"),
        ("map", {"prior": "tests"}, "unknown split 'tests'"),
        ("map", {"trials": 1}, "trials is 1"),
        ("map", {"explore_episodes": -1}, "explore_episodes -1"),
        ("sign", {}, "the exact posterior, which sign does not have"),
    ],
)
def test_invalid_calls_of_posterior_sampling_are_refused(
    family: str, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        posterior_sampling_return(**{"env": make(family, 1), "split": "test", "trials": 5, **arguments})  # type: ignore[arg-type]
