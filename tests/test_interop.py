"""The families in other libraries: Stable-Baselines3, sb3-contrib, TorchRL. Needs `pip install -e .[interop]`."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import FlattenObservation, RecordEpisodeStatistics, TimeLimit

import dream.envs

pytestmark = pytest.mark.long
NAMES = [f"dream/{name.title().replace('-', '')}-v0" for name in dream.envs.families()]


@pytest.mark.parametrize("name", NAMES)
def test_gymnasium_wrappers_take_single_envs(name: str) -> None:
    env = RecordEpisodeStatistics(TimeLimit(FlattenObservation(gym.make(name, render_mode="rgb_array")), 5))
    obs, _ = env.reset(seed=0)
    assert obs in env.observation_space and np.shape(env.render()) == (400, 352, 3)
    for _ in range(5):
        obs, _, terminated, truncated, info = env.step(env.action_space.sample() * 0)
    assert obs in env.observation_space and (terminated or truncated) and info["episode"]["l"] == 5


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_gymnasium_vectorises_single_envs(mode: str) -> None:
    envs = gym.make_vec("dream/Cooking-v0", num_envs=3, vectorization_mode=mode)
    obs, _ = envs.reset(seed=0)
    assert obs["observation"].shape == (3, 7)
    for _ in range(25):
        obs, reward, *_ = envs.step(envs.action_space.sample())
    assert obs in envs.observation_space and reward.shape == (3,)
    envs.close()


@pytest.mark.parametrize("name", NAMES)
def test_stable_baselines_checks_and_trains_them(name: str) -> None:
    pytest.importorskip("stable_baselines3")
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_checker import check_env
    from stable_baselines3.common.monitor import Monitor

    env = gym.make(name)
    check_env(env)
    model = PPO("MultiInputPolicy", Monitor(env), n_steps=32, batch_size=32, n_epochs=1, seed=0, device="cpu")
    model.learn(64)
    lengths = [episode["l"] for episode in model.ep_info_buffer]
    assert model.num_timesteps == 64 and lengths and max(lengths) <= env.spec.max_episode_steps


def test_stable_baselines_learns_signpost_when_the_problem_never_changes() -> None:
    pytest.importorskip("stable_baselines3")
    from stable_baselines3 import PPO
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.vec_env import DummyVecEnv

    class OneProblem(gym.Wrapper):  # type: ignore[type-arg]
        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            return self.env.reset(seed=seed, options={"problem_id": 1})

    envs = DummyVecEnv([lambda: OneProblem(gym.make("dream/Signpost-v0"))] * 4)
    model = PPO("MultiInputPolicy", envs, n_steps=64, batch_size=64, seed=0, device="cpu").learn(3_000)
    mean, _ = evaluate_policy(model, envs, n_eval_episodes=8, warn=False)
    assert mean == 1.0


def test_contrib_recurrent_policies_train_on_them() -> None:
    pytest.importorskip("sb3_contrib")
    from sb3_contrib import RecurrentPPO

    # Flattened: sb3-contrib hands the size of MultiDiscrete observations on as a numpy integer, which nn.LSTM refuses.
    env = FlattenObservation(gym.make("dream/Map-v0"))
    model = RecurrentPPO("MlpLstmPolicy", env, n_steps=32, batch_size=32, n_epochs=1, seed=0, device="cpu")
    model.learn(64)
    obs, _ = env.reset(seed=0)
    action, memory = model.predict(obs)
    assert env.action_space.contains(int(action)) and memory is not None


@pytest.mark.parametrize("name", NAMES)
def test_torchrl_rolls_them_out(name: str) -> None:
    pytest.importorskip("torchrl")
    from torchrl.envs import GymEnv, StepCounter, TransformedEnv
    from torchrl.envs.utils import check_env_specs

    env = GymEnv(name, device="cpu")
    env.set_seed(0)
    check_env_specs(env)
    steps = TransformedEnv(env, StepCounter()).rollout(50)
    horizon = gym.make(name).unwrapped.batch.horizon
    assert 1 <= len(steps) <= horizon and bool(steps["next", "done"][-1])
    assert set(steps.keys()) >= {"observation", "instruction", "phase", "action", "next"}


def test_torchrl_retries_without_an_option_that_they_do_not_have() -> None:
    pytest.importorskip("torchrl")
    from torchrl.envs import GymEnv

    env = GymEnv("dream/Bus-v0", frame_skip=2, device="cpu")
    assert len(env.rollout(3)) == 3
