"""A short check of a family before it is trained, for faults that would spoil a run without an error."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from dream.envs.base import MetaEnv
from dream.envs.problems import PHASES, SPLITS, Phase
from dream.envs.registry import make
from dream.envs.verify import check_observations, check_rewards
from dream.errors import UserError
from dream.spaces import Arrays, each, random_actions

MEMBERS = 8
"""Members of the environment that is checked."""
FEW = 8
"""Fewer problems than this in a split are worth a warning: a score on them says little about other problems."""
SECONDS = 0.1
"""Time for the steps of one played episode; each is played up to three times, in both phases."""
ATTEMPTS = 8
"""Plays until something depends on the problem: a sparse reward or signal is rarely met by chance."""
Steps = list[tuple[Arrays, NDArray[Any], NDArray[Any]]]
"""obs (B, ...), reward (B,), terminated (B,) of each step; the first one is the reset, without reward and end."""


def check_own_family(name: str, parameters: Mapping[str, Any]) -> None:
    """`check_family` for a family from outside the toolkit, named module:Class. Raises UserError."""
    if ":" in name:
        with contextlib.closing(make(name, MEMBERS, **parameters)) as env:
            check_family(env)


def check_family(env: MetaEnv) -> None:
    """Play episodes with random actions in different problems, and compare them.

    Args:
        env: of a few members, made for this check: its state is lost.

    Raises:
        UserError: an observation outside the observation space, a reward that is not finite, an instruction outside
            the instruction space, or an adapted env that never looks at the problem id.

    Warns where nothing observed depended on the problem, and where a split has few problems.
    """
    sizes = {split: len(env.problems.ids(split)) for split in SPLITS}
    if min(sizes.values()) < FEW:
        held = ", ".join(f"{size} {split}" for split, size in sizes.items())
        warnings.warn(
            f"{env.family} has few problems ({held}): a score on fewer than {FEW} of them says little about other "
            "problems",
            stacklevel=2,
        )
    rng = np.random.default_rng(0)
    for _ in range(ATTEMPTS):
        depends = [_depends_on_problem(env, phase, rng) for phase in PHASES]
        if any(depends):
            break
    if not getattr(env, "reads_problem", True):
        raise UserError(
            f'the reset of {env.family} never reads options["problem_id"], so all {env.problems.num_problems} problems '
            "are the same: choose the problem by it (docs/add-a-problem-family.md)"
        )
    if not any(depends) and env.problems.num_problems > 1:
        warnings.warn(
            f"with random actions nothing in {env.family} depended on the problem: make sure that it uses "
            "self.problem_id",
            stacklevel=2,
        )


def _depends_on_problem(env: MetaEnv, phase: Phase, rng: np.random.Generator) -> bool:
    """Play the same actions and seed in other problems; a second play of each problem shows what is random."""
    ids = env.problems.sample("all", env.num_envs, rng)
    others = (ids + rng.integers(1, max(2, env.problems.num_problems), env.num_envs)) % env.problems.num_problems
    actions = random_actions(env.single_action_space, rng, env.horizon, env.num_envs, without=env.end_action)
    if isinstance(env.single_action_space, Box):  # independent numbers average out: half of the members keep theirs
        actions[:, ::2] = actions[0, ::2]
    instruction = None
    if phase == "execute":
        instruction = np.asarray(env.sample_instruction(ids, rng))
        if instruction.shape != (len(ids), *env.instruction_space.shape):
            raise UserError(
                f"sample_instruction of {env.family} gave the shape {instruction.shape} for {len(ids)} problems: give "
                f"{(len(ids), *env.instruction_space.shape)}"
            )
        bad = ((instruction < 0) | (instruction >= env.instruction_space.nvec)).any(axis=1)
        if bad.any():
            raise UserError(
                f"sample_instruction of {env.family} gave {instruction[bad][0].tolist()}, which is not in its "
                f"instruction space {env.instruction_space}"
            )
    first = _play(env, ids, phase, instruction, actions)
    again = _play(env, ids, phase, instruction, actions[: len(first) - 1])
    try:
        other = _play(env, others, phase, instruction, actions[: len(first) - 1])
    except ValueError:  # the other problem does not have this instruction
        return True
    return _same(first, again) and not _same(first, other)


def _play(
    env: MetaEnv,
    problem_id: NDArray[np.int64],
    phase: Phase,
    instruction: NDArray[np.int64] | None,
    actions: NDArray[Any],
) -> Steps:
    """One episode with actions (T, B, ...), or its steps within `SECONDS`; every step is checked."""
    begin = time.perf_counter()
    options = {"problem_id": problem_id, "phase": phase, "instruction": instruction}
    obs, _ = env.reset(seed=0, options=options)
    check_observations(env.family, env.single_observation_space, obs, env.problem_id, env.elapsed)
    nothing = np.zeros(env.num_envs)
    steps: Steps = [(obs, nothing, nothing)]
    for action in actions:
        obs, reward, terminated, _, _ = env.step(action)
        check_observations(env.family, env.single_observation_space, obs, env.problem_id, env.elapsed)
        check_rewards(env.family, reward, env.problem_id, env.elapsed)
        steps.append((obs, reward, terminated))
        if not env.active.any() or time.perf_counter() - begin > SECONDS:
            break
    return steps


def _equal(one: Arrays, other: Arrays) -> bool:
    same = each(np.array_equal, one, other)
    return all(same.values()) if isinstance(same, dict) else bool(same)


def _same(one: Steps, other: Steps) -> bool:
    return all(
        _equal(a, b) for mine, theirs in zip(one, other, strict=False) for a, b in zip(mine, theirs, strict=True)
    )
