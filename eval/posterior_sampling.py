"""Upper bound of posterior sampling: the return of Thompson sampling with the exact posterior and optimal executors.

Liu et al. (2021) call it PEARL-UB: the limit of exploring by acting as if a sampled problem were the true one (PEARL,
Rakelly et al. 2019) once everything is learned. That does not define how an executor acts after an observation that
contradicts its problem. It may correct the contradicted part and plan again (`MetaEnv.expert`), or go on believing
(`MetaEnv.believer`). Nor does it say what the scored execution acts on: another sample, as PEARL does, or the whole
posterior, as the toolkit's executors do, which are given g(tau).
"""

from __future__ import annotations

import functools
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dream.envs import Expert, MetaEnv, consistent_problems
from dream.envs.consistency import why_not_exact
from dream.errors import UserError
from dream.spaces import Arrays, at, each, has_image, zeros


@dataclass(frozen=True)
class PosteriorSampling:
    """Results of each trial, all (trials,)."""

    problem_id: NDArray[np.int64]
    returns: NDArray[np.float64]
    """Undiscounted return of the execution episode."""
    optimal: NDArray[np.float64]
    """Optimal return of the same problem and instruction."""
    problems_left: NDArray[np.int64]
    """Number of problems consistent with the exploration."""
    explorations: dict[str, NDArray[np.float64]]
    """`MetaEnv.exploration_summary`, the mean over the trial's explorations."""

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(self.returns.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean return, assuming independent trials; an upper bound for problems spread evenly."""
        return float(self.returns.std(ddof=1) / np.sqrt(len(self.returns)))


Doubt = Literal["corrects", "believes"]
"""What an executor does with a sample that an observation contradicts."""
ExecutesOn = Literal["sample", "belief"]
"""What the scored execution acts on: a sample from the posterior, or all of it."""


def posterior_sampling_return(
    env: MetaEnv,
    split: str,
    trials: int,
    explore_episodes: int = 1,
    seed: int = 0,
    prior: str = "all",
    *,
    doubt: Doubt = "corrects",
    executes_on: ExecutesOn = "sample",
) -> PosteriorSampling:
    """Play trials of posterior sampling with the exact posterior.

    In each exploration episode: draw a problem mu' from the posterior and an instruction of mu', and act as the optimal
    executor for them. The observations give the next posterior (`consistent_problems`); as in every trial of the
    toolkit, exploration has no reward. Then the instruction to execute is given, which is evidence too
    (`MetaEnv.instruction_probability`): draw mu' again, and act as its executor. All in the true problem.

    Args:
        env: a deterministic family with `expert`; trials are played in batches of its members, so use a
            thousand or more. Its current episodes are lost.
        split: of the problems, played equally often.
        trials: at least 2.
        explore_episodes: k; 0 samples from the prior.
        seed: of problems, samples and instructions.
        prior: split over which the prior is uniform. "all", which `no_exploration_return` uses too, contains every true
            problem. "train" is what a learner was trained on; other problems may be inconsistent with all of it.
        doubt: of the executors of sampled problems.
        executes_on: "belief" gives the expected return of the best executor that knows the posterior. It is exact for
            problems drawn from the prior, so take the split that is the prior.

    Raises:
        UserError: fewer than 2 trials or fewer than 0 explorations; a family without expert or exact posterior; an
            unknown split; an exploration inconsistent with every problem of the prior.
    """
    if trials < 2 or explore_episodes < 0:
        raise UserError(f"trials is {trials} and explore_episodes {explore_episodes}: give at least 2 and 0")
    rng = np.random.default_rng(seed)
    reason = why_not_exact(env) or ("its observations are images" if has_image(env.single_observation_space) else None)
    if reason:
        raise UserError(f"posterior sampling needs the exact posterior, which {env.family} does not have: {reason}")
    try:
        env.problems.ids(prior)
        problem_id = env.problems.sample(split, trials, rng)
        env.expert(problem_id[:1], env.sample_instruction(problem_id[:1], rng))
    except (ValueError, NotImplementedError) as error:
        raise UserError(f"posterior sampling cannot be played: {error}") from error
    batches = [
        _play(env, problem_id[first : first + env.num_envs], explore_episodes, prior, rng, doubt, executes_on)
        for first in range(0, trials, env.num_envs)
    ]
    names = batches[0].explorations
    return PosteriorSampling(
        problem_id,
        np.concatenate([batch.returns for batch in batches]),
        np.concatenate([batch.optimal for batch in batches]),
        np.concatenate([batch.problems_left for batch in batches]),
        {name: np.concatenate([batch.explorations[name] for batch in batches]) for name in names},
    )


def _play(
    env: MetaEnv,
    problem_id: NDArray[np.int64],
    explore_episodes: int,
    prior: str,
    rng: np.random.Generator,
    doubt: Doubt,
    executes_on: ExecutesOn,
) -> PosteriorSampling:
    """One batch of at most as many trials as the environment has members."""
    executor = env.expert if doubt == "corrects" else env.believer
    count, everyone = len(problem_id), np.arange(env.problems.num_problems)
    left = np.zeros((count, len(everyone)), np.bool_)
    left[:, env.problems.ids(prior)] = True
    explorations: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for _ in range(explore_episodes):
        sampled = draw_problems(left, rng)
        expert = executor(sampled, env.sample_instruction(sampled, rng))
        obs, action, mask, _ = _episode(env, problem_id, expert, None)
        for name, value in env.exploration_summary(problem_id, obs, action, mask).items():
            explorations[name].append(value)
        left &= consistent_problems(env, obs, action, mask)
        if not left.any(axis=1).all():
            raise UserError(
                f"an exploration of problem {problem_id[~left.any(axis=1)][0]} is inconsistent with every problem of "
                f"split {prior!r}: use prior 'all'"
            )
    instruction = env.sample_instruction(problem_id, rng)
    rows, columns = np.nonzero(left)
    weight = np.zeros(left.shape)
    weight[rows, columns] = env.instruction_probability(columns, instruction[rows])
    if not weight.any(axis=1).all():
        raise UserError(
            f"no problem of split {prior!r} gives instruction {instruction[~weight.any(axis=1)][0].tolist()}"
        )
    if executes_on == "sample":
        *_, returns = _episode(env, problem_id, executor(draw_problems(weight, rng), instruction), instruction)
    else:
        returns = _belief_returns(env, left, instruction)
    return PosteriorSampling(
        problem_id,
        returns,
        env.optimal_return(problem_id, instruction),
        left.sum(axis=1),
        {name: np.mean(values, axis=0) for name, values in explorations.items()},
    )


def _belief_returns(env: MetaEnv, left: NDArray[np.bool_], instruction: NDArray[np.int64]) -> NDArray[np.float64]:
    """`MetaEnv.belief_return` of the problems left (N, problems) and the instruction (N, I) of each trial, (N,)."""
    found: dict[bytes, float] = {}
    returns = np.zeros(len(left))
    for trial, (belief, asked) in enumerate(zip(left, instruction, strict=True)):
        key = belief.tobytes() + asked.tobytes()
        if key not in found:
            found[key] = env.belief_return(np.flatnonzero(belief), asked)
        returns[trial] = found[key]
    return returns


def draw_problems(weight: NDArray[np.bool_] | NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """One column for each row of weights (N, M), in proportion to them and never of weight 0: (N,)."""
    total = np.cumsum(weight, axis=1, dtype=np.float64)
    # Strictly below the last total, so that no column of weight 0 is drawn.
    return (total <= rng.random((len(total), 1)) * total[:, -1:]).sum(axis=1)


def _episode(
    env: MetaEnv, problem_id: NDArray[np.int64], expert: Expert, instruction: NDArray[np.int64] | None
) -> tuple[Arrays, NDArray[np.int64], NDArray[np.bool_], NDArray[np.float64]]:
    """An episode of the expert, an exploration without instruction: obs, action, mask as in `Episodes`, return (N,).

    Members beyond N play the first problem again and are discarded.
    """
    count, members = len(problem_id), env.num_envs
    shape = env.single_action_space.shape
    action, mask = np.zeros((count, env.horizon, *shape), np.int64), np.zeros((count, env.horizon), np.bool_)
    returns = np.zeros(count)
    options: dict[str, object] = {"phase": "explore" if instruction is None else "execute"}
    fill = np.where(np.arange(members) < count, np.arange(members), 0)
    options["problem_id"] = problem_id[fill]
    if instruction is not None:
        options["instruction"] = instruction[fill]
    now, _ = env.reset(options=options)
    obs = zeros(env.single_observation_space, count, env.horizon + 1)

    def put(stored: NDArray[Any], array: NDArray[Any], rows: NDArray[np.int64], step: int) -> None:
        stored[rows, step] = array[rows]

    each(functools.partial(put, rows=np.arange(count), step=0), obs, now)
    taken = np.zeros((members, *shape), np.int64)
    for step in range(env.horizon):
        taken[:count] = expert.act(at(now, slice(count)))
        now, reward, _, _, info = env.step(taken)
        active = info["active"][:count]
        each(functools.partial(put, rows=np.flatnonzero(active), step=step + 1), obs, now)
        action[active, step] = taken[:count][active]
        mask[:, step] = active
        returns += reward[:count]
    return obs, action, mask, returns
