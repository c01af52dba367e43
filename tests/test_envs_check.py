"""Faults of a user's family are found before it is trained."""

import time
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dream.envs import GymnasiumAdapter, MetaEnv, families, make, split_problems
from dream.envs.check import check_family
from dream.errors import UserError
from tests.toys import Corridor


@pytest.mark.parametrize("name", families())
def test_the_families_of_the_toolkit_pass(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".* has few problems")
        check_family(make(name, 8))


class Faulty(Corridor):
    """A corridor with one fault."""

    def __init__(self, num_envs: int, fault: str = "", horizon: int = 4) -> None:
        self.fault = fault
        super().__init__(num_envs, horizon=horizon)

    def sample_instruction(self, problem_id: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self.fault == "instruction":
            return np.full((len(problem_id), 1), 1)
        return np.zeros((len(problem_id), 2 if self.fault == "instruction shape" else 1), np.int64)

    def _begin(self, members: np.ndarray) -> np.ndarray:
        if self.fault == "problem":
            self.problem_id = np.zeros_like(self.problem_id)
        return super()._begin(members)

    def _advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        obs, reward, terminated = super()._advance(actions)
        if (self.elapsed == 2).any():
            if self.fault == "reward":
                reward[1] = np.nan
            if self.fault == "observation":
                obs[1, 1] = 3  # one more than there are
            if self.fault == "dtype":
                obs = obs.astype(np.float32)
        return obs, reward, terminated


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("reward", r"corridor gave the reward nan in problem \d at step 2: rewards must be finite"),
        (
            "observation",
            r"corridor gave the observation \[\d 3\] in problem \d at step 2, which is not in its observation",
        ),
        ("dtype", r"corridor gave observations float32 of shape \(4, 2\) at step 2: its observation space is"),
        ("instruction", r"sample_instruction of corridor gave \[1\], which is not in its instruction space"),
        ("instruction shape", r"sample_instruction of corridor gave the shape \(4, 2\) for 4 problems"),
    ],
)
@pytest.mark.filterwarnings("ignore:.* has few problems")
def test_a_fault_is_named_with_value_and_step(fault: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_family(Faulty(4, fault))


@pytest.mark.parametrize(
    ("fault", "message"), [("reward", "gave the reward nan"), ("observation", "observation space")]
)
def test_ones_own_family_is_verified_at_every_step_of_training_too(fault: str, message: str) -> None:
    env = Faulty(4, fault)
    env.reset(options={"phase": "execute"})
    env.step(np.zeros(4, int))
    with pytest.raises(UserError, match=f"corridor .*{message}.* at step 2|at step 2, .*{message}"):
        env.step(np.zeros(4, int))


def test_a_family_that_does_not_depend_on_its_problems_is_warned_about() -> None:
    with pytest.warns(UserWarning, match="nothing in corridor depended on the problem: make sure that it uses"):
        check_family(Faulty(4, "problem"))


class Lamp(gym.Env[Any, Any]):
    """Shows the problem, or not; faults by name."""

    observation_space = gym.spaces.Discrete(80)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        assert options is not None
        self.shown = 7 if self.fault == "problem" else dict(options)["problem_id"]
        self.steps = 0
        return self.shown, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        reward = float("inf") if self.fault == "reward" and self.steps == 3 else 0.0
        obs = 80 if self.fault == "observation" and self.steps == 4 else self.shown
        return obs, reward, False, self.fault == "limit" and self.steps == 2, {}


def lamps(fault: str = "", problems: int = 80) -> MetaEnv:
    return GymnasiumAdapter(lambda: Lamp(fault), 4, problems=split_problems("lamps", problems), horizon=6)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("problem", r'the reset of lamps never reads options\["problem_id"\], so all 80 problems are the same'),
        ("reward", r"lamps gave the reward inf in problem \d+ at step 3: rewards must be finite"),
        (
            "observation",
            r"lamps gave the observation 80 in problem \d+ at step 4, which is not in its observation space Discrete",
        ),
        ("limit", "lamps has a time limit of its own that ended an episode at step 2, before the horizon of 6"),
    ],
)
def test_a_fault_of_an_adapted_env_is_named_with_value_and_step(fault: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_family(lamps(fault))


def test_a_sound_adapted_env_passes_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_family(lamps())


def test_splits_with_few_problems_are_warned_about() -> None:
    with pytest.warns(UserWarning, match=r"lamps has few problems \(9 train, 1 validation, 3 test\): a score on fewer"):
        check_family(lamps(problems=13))


def test_two_problems_are_in_every_split() -> None:
    problems = split_problems("lamps", 2)
    assert all(problems.ids(split).tolist() == [0, 1] for split in ("train", "validation", "test"))
    sizes = [len(split_problems("lamps", 3).ids(split)) for split in ("train", "validation", "test")]
    assert sizes == [1, 1, 1]


def test_of_a_slow_env_with_long_episodes_only_some_steps_are_played() -> None:
    steps = []

    class Slow(Lamp):
        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            time.sleep(0.001)
            steps.append(action)
            return super().step(action)

    check_family(GymnasiumAdapter(Slow, 4, problems=split_problems("lamps", 80), horizon=5_000))
    assert 0 < len(steps) < 2_000  # whole episodes would be 120,000
