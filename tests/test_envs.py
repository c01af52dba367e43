"""Every family keeps the promises of `MetaEnv`."""

import numpy as np
import pytest

from dream.envs import families, make

FAMILIES = list(families())


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("phase", ["explore", "execute"])
def test_random_play_stays_in_the_spaces(name: str, phase: str) -> None:
    envs = make(name, 64)
    obs, info = envs.reset(seed=1, options={"phase": phase})
    rng = np.random.default_rng(0)
    assert obs in envs.observation_space and obs.dtype == np.int16
    assert info["instruction"].shape == (64, *envs.instruction_space.shape)
    for _ in range(envs.horizon):
        obs, reward, terminated, truncated, info = envs.step(rng.integers(len(envs.action_names), size=64))
        assert obs in envs.observation_space
        assert reward.dtype == np.float32 and terminated.dtype == truncated.dtype == info["active"].dtype == np.bool_
        assert not (terminated & truncated).any()
        if phase == "explore":
            assert not reward.any()
    assert (terminated | truncated).all()
