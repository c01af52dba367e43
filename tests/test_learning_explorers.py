"""Every explorer succeeds and fails where theory predicts it (docs/methods.md).

All of them have the executor and the encoders of dream, so they differ in the exploration reward only.
"""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from dream.core.actions import Actions
from dream.core.rollout import rollout
from dream.core.trial import Trials
from dream.envs import MetaEnv, integer_space
from dream.exploration.base import ExplorationReward
from dream.exploration.icm import IntrinsicCuriosity
from dream.exploration.prediction import PredictionGain
from tests.test_explorers import explorations
from tests.test_explorers import trials as trials_of
from tests.test_learning import learn
from tests.toys import PRESS, Corridor, Fact

TRIALS = 400
SEEDS = (1,)
"""One in the suite."""

ONE_WAY: dict[str, Any] = {"start": 0}
"""The sign is at the end of the corridor, and there is nowhere else to go."""
TWO_WAYS: dict[str, Any] = {}
"""It is a step to the right; a step to the left is nothing."""
DISTRACTED: dict[str, Any] = {"facts": (Fact(3), Fact(0, values=32, matters=False)), "length": 4}
"""Two steps to the right is the sign; one step to the left another, which holds much more, all of it irrelevant.
There is no time for both."""
ON_THE_WAY: dict[str, Any] = {"facts": (Fact(0),), "buttons_at": 0, "step_cost": 0.05}
"""The sign is where the buttons are, a step to the left."""
OUT_OF_THE_WAY: dict[str, Any] = {"facts": (Fact(2),), "buttons_at": 0, "step_cost": 0.05}
"""It is a step to the right, the buttons are one to the left, and there is no time for both."""
BUS: dict[str, Any] = {"bus_at": 1}
"""What is unknown is where a bus goes, the effect of an action."""
ALL_OR_NOTHING: dict[str, Any] = {
    "facts": (Fact(3), Fact(4), Fact(5), Fact(1, values=16, matters=False), Fact(0, values=16, matters=False)),
    "length": 6,
    "start": 2,
    "horizon": 4,
}
"""To the right are three signs; after reading two of them a guess is right half of the time, no better than pressing
nothing. To the left are two that hold more and do not matter. There is no time for both sides."""


def played(method: str, seed: int, steps: int, toy: dict[str, Any]) -> tuple[float, dict[int, float]]:
    """Train, then play: mean test return, and the share of explorations that came to each cell."""
    pair = learn(method, seed, steps, env="tests.toys:Corridor", env_parameters=toy)
    env = Corridor(TRIALS, **toy)
    env.reset(seed=1)
    trials = pair.play(env, np.arange(TRIALS) % env.problems.num_problems, torch.Generator().manual_seed(1))
    came = {cell: float((trials.explore.obs[..., 0] == cell).any(1).float().mean()) for cell in range(env.length)}
    return float(trials.execute.reward.sum(1).mean()), came


# -- where they succeed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["hyperx", "prediction", "first-explore"])
@pytest.mark.parametrize("seed", SEEDS)
def test_explorers_rewarded_for_the_problem_or_the_outcome_read_the_sign(method: str, seed: int) -> None:
    score, came = played(method, seed, 9_000, TWO_WAYS)
    assert came[2] == 1.0 and score > 0.99


@pytest.mark.parametrize("method", ["count", "rnd"])
@pytest.mark.parametrize("seed", SEEDS)
def test_novelty_explores_the_whole_corridor(method: str, seed: int) -> None:
    score, came = played(method, seed, 5_000, ONE_WAY)
    assert came[2] == 1.0 and score > 0.4


@pytest.mark.parametrize("seed", [0])
def test_curiosity_takes_a_bus_with_unknown_destination(seed: int) -> None:
    score, came = played("icm", seed, 6_000, BUS)
    assert came[0] == came[2] == 0.5 and score > 0.99


@pytest.mark.parametrize("seed", SEEDS)
def test_posterior_sampling_reads_a_sign_on_the_way_to_the_goal(seed: int) -> None:
    score, came = played("posterior", seed, 10_000, ON_THE_WAY)
    assert came[0] > 0.5 and score > 0.4


# -- where they cannot -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_posterior_sampling_never_visits_a_place_without_goals(seed: int) -> None:
    score, came = played("posterior", seed, 10_000, OUT_OF_THE_WAY)
    assert came[2] < 0.15 and score < 0.1


@pytest.mark.parametrize("method", ["count", "rnd", "prediction"])
@pytest.mark.parametrize("seed", SEEDS)
def test_novelty_and_prediction_prefer_much_that_is_irrelevant(method: str, seed: int) -> None:
    score, came = played(method, seed, 8_000, DISTRACTED)
    assert came[3] == 0.0 and score < 0.5


@pytest.mark.parametrize(
    "method",
    [
        "hyperx",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("rl2", "first-explore", "e-rl2", "import")),
    ],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_rewards_of_outcomes_are_zero_for_a_part_of_the_information_needed(method: str, seed: int) -> None:
    score, came = played(method, seed, 40_000, ALL_OR_NOTHING)
    assert score < 0.1
    if method in ("hyperx", "first-explore"):  # their executors would know what to do: it is the exploration
        assert came[5] == 0.0


@pytest.mark.parametrize("seed", SEEDS)
def test_dream_is_rewarded_for_each_part(seed: int) -> None:
    score, came = played("dream", seed, 55_000, ALL_OR_NOTHING)
    assert came[5] == 1.0 and score > 0.99


@pytest.mark.parametrize("seed", SEEDS)
def test_dream_ignores_irrelevant_facts(seed: int) -> None:
    score, came = played("dream", seed, 8_000, DISTRACTED)
    assert came[3] == 1.0 and score > 0.99


# -- why ---------------------------------------------------------------------------------------------------------


def walks(env: MetaEnv, actions: int, batches: int = 8) -> list[Trials]:
    """Explorations at random among the first `actions` actions."""
    generator = torch.Generator().manual_seed(0)
    ids = np.arange(env.num_envs) % env.problems.num_problems

    def policy(now: Any, memory: Any) -> tuple[torch.Tensor, Any]:
        return torch.randint(actions, (env.num_envs,), generator=generator), None

    explored = [rollout(env, policy, ids, phase="explore", device=torch.device("cpu")) for _ in range(batches)]
    return [Trials(torch.from_numpy(ids), e, e, torch.zeros(env.num_envs, dtype=torch.bool)) for e in explored]


def fit(model: ExplorationReward, trials: list[Trials], updates: int, rate: float) -> torch.Tensor:
    """Train a reward on all batches but the last; the reward for the last, (N, T)."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for i in range(updates):
        _, loss = model(trials[i % (len(trials) - 1)], None)  # type: ignore[arg-type]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model(trials[-1], None)[0]  # type: ignore[arg-type]


def test_prediction_rewards_every_fact_by_the_logarithm_of_its_values() -> None:
    """Given the problem, a sign is predictable; given the trajectory, too, once it was read."""
    env = Corridor(64, facts=(Fact(2), Fact(0, values=4, matters=False)))
    env.reset(seed=0)
    trials = walks(env, actions=2)
    torch.manual_seed(0)
    space, table = env.single_observation_space, torch.from_numpy(env.problems.factor_table)
    actions = Actions(env.single_action_space)
    model = PredictionGain(space, actions, env.problems.factors, table, width=16, memory_size=8)
    rewards, explore = fit(model, trials, updates=200, rate=1e-2), trials[-1].explore
    known = torch.zeros_like(explore.mask)
    for cell, worth in ((2, np.log(2)), (0, np.log(4))):
        read = (explore.obs[:, 1:, 0] == cell) & explore.mask
        first = read & (read.cumsum(1) == 1)
        assert first.sum() > 20
        assert rewards[first].mean().item() == pytest.approx(worth, abs=0.2)
        known |= first
    assert rewards[explore.mask & ~known].abs().mean() < 0.1


def test_prediction_gain_is_zero_for_what_a_memory_predicts() -> None:
    """A wall shows every other step, another one in each episode: the trajectory predicts it, the problem does not."""
    generator = torch.Generator().manual_seed(0)

    def batch() -> Trials:
        wall = torch.randint(1, 9, (64, 1), generator=generator)
        obs = (wall * (torch.arange(9) % 2))[..., None]
        return trials_of(explorations(obs, lengths=[8] * 64))

    torch.manual_seed(0)
    actions, table = Actions(gym.spaces.Discrete(2)), torch.tensor([[0], [1]])
    model = PredictionGain(integer_space([9]), actions, (2,), table, width=16, memory_size=8)
    rewards = fit(model, [batch() for _ in range(9)], updates=200, rate=1e-2)
    assert rewards.abs().mean() < 0.1


def test_curiosity_rewards_a_bus_and_not_a_sign() -> None:
    """What a sign says does not depend on the actions taken, so features that predict actions leave it out."""
    rewards = {}
    for name, toy in (("sign", TWO_WAYS), ("bus", BUS)):
        env = Corridor(64, **toy)
        env.reset(seed=0)
        trials = walks(env, actions=int(env.single_action_space.n) - 1)
        torch.manual_seed(0)
        model = IntrinsicCuriosity(env.single_observation_space, Actions(env.single_action_space), 32)
        reward, explore = fit(model, trials, updates=300, rate=3e-3), trials[-1].explore
        before, after = explore.obs[:, :-1], explore.obs[:, 1:]
        telling = after[..., 1] > 0 if name == "sign" else (explore.action == PRESS + 2) & (before[..., 0] == 1)
        rewards[name] = float(reward[telling & explore.mask].mean())
        rewards[f"not {name}"] = float(reward[~telling & explore.mask].mean())
    assert rewards["bus"] > 20 * rewards["not bus"] and rewards["bus"] > 20 * rewards["sign"]
    assert rewards["sign"] < 5 * rewards["not sign"]
