"""Evaluation on held-out problems: greedy policies, averaged networks, no problem ids; returns and exact bounds."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.config import TrainConfig
from dream.core.trial import Trials
from dream.envs import MetaEnv
from dream.envs.problems import ProblemSet
from dream.errors import UserError
from dream.eval.statistics import Interval, mean, normalised_interval, stratified_bootstrap
from dream.methods.build import build, make_env
from dream.methods.protocol import Method
from dream.methods.registry import find_method
from dream.storage.checkpoint_files import check_weights
from dream.storage.run_directory import RunDirectory

MEMBERS = 512
"""Most trials evaluated side by side."""
HOW_TO_GET_A_SCORE = "implement optimal_return and no_exploration_return in the family to get one"
"""Ends a sentence about a family without a normalised score."""


Weights = Literal["best", "final"]
"""The checkpoint with the best validation score, or the newest one."""


@dataclass(frozen=True)
class TrialResults:
    """Results of each trial of an evaluation, all (trials,)."""

    problem_id: NDArray[np.int64]
    returns: NDArray[np.float64]
    """Mean return of the trial's execution episodes, undiscounted."""
    optimal: NDArray[np.float64] | None
    """Optimal return for the same problem and instructions; None if the family does not know it."""
    explore_length: NDArray[np.float64]
    """Environment steps of exploration."""


@dataclass(frozen=True)
class EvalResult:
    """Evaluation of one run on one split, as `dream eval --json` prints it.

    Intervals are 95% bootstrap intervals over trials. What the family does not know is None: without both bounds there
    is no normalised score.
    """

    env: str
    method: str
    seed: int
    step: int
    split: str
    trials: int
    trials_seed: int
    """Seed of the order of problems, the instructions and a random explorer's actions: same seed, same trials."""
    weights: Weights
    """The checkpoint that was evaluated: the best on validation, or the final one."""
    counts: bool
    """Whether these weights give the score of the run, see `load_method`."""
    return_mean: float
    return_low: float
    return_high: float
    optimal_mean: float | None
    regret: float | None
    no_exploration: float | None
    normalised: float | None
    normalised_low: float | None
    normalised_high: float | None
    explore_length: float
    trained_on: int
    """Of the problems of the split, how many the run was trained on."""


_METRICS = {
    "trials": "trials",
    "trials_seed": "trials_seed",
    "return": "return_mean",
    "return_low": "return_low",
    "return_high": "return_high",
    "optimal_return": "optimal_mean",
    "no_exploration_return": "no_exploration",
    "regret": "regret",
    "normalised": "normalised",
    "normalised_low": "normalised_low",
    "normalised_high": "normalised_high",
    "explore_length": "explore_length",
}
"""Metric in a tidy CSV -> field of `EvalResult`."""


def eval_rows(result: EvalResult) -> list[dict[str, Any]]:
    """The result as tidy rows, `env,method,seed,step,split,metric,value`, without what the family does not know.

    The metrics of weights that do not give the score of the run begin with "best_" or "final_".
    """
    values = dataclasses.asdict(result)
    identity = {name: values[name] for name in ("env", "method", "seed", "step", "split")}
    prefix = "" if result.counts else f"{result.weights}_"
    return [
        {**identity, "metric": prefix + metric, "value": values[name]}
        for metric, name in _METRICS.items()
        if values[name] is not None and np.isfinite(values[name])
    ]


Play = Callable[[MetaEnv, NDArray[np.int64], torch.Generator], Trials]
"""Plays greedy trials of the given problems. The ids select the problems and must influence nothing else."""


def seeded_batches(
    env: MetaEnv, problem_id: NDArray[np.int64], seed: int
) -> Iterator[tuple[NDArray[np.int64], int, torch.Generator]]:
    """Problems (N,) in batches of B, the members of the environment.

    The environment draws starts and instructions from the seed alone, so they are the same for every method. The last
    batch is filled up to B by repetition; drop what does not count.

    Yields:
        (B,) problems, how many of them count (the first ones), and a generator for what a method draws.
    """
    generator = torch.Generator().manual_seed(seed)
    env.reset(seed=seed)
    for first in range(0, len(problem_id), env.num_envs):
        batch = problem_id[first : first + env.num_envs]
        yield np.resize(batch, env.num_envs), len(batch), generator


def run_trials(play: Play, env: MetaEnv, problem_id: NDArray[np.int64], seed: int) -> TrialResults:
    """Play one trial in each of the given problems.

    Args:
        play: such as `Method.play`.
        env: any number of members.
        problem_id: (trials,) ints.
        seed: of starts, instructions, and a random explorer's actions.
    """
    returns, optimal, lengths = [], [], []
    for whole, count, generator in seeded_batches(env, problem_id, seed):
        trials = play(env, whole, generator)
        n = trials.execute_episodes
        got = trials.execute.reward.double().sum(1).view(-1, n).mean(1)
        returns.append(got.cpu().numpy()[:count])
        lengths.append(trials.explore.transition.sum(1).double().cpu().numpy()[:count])
        with contextlib.suppress(NotImplementedError):
            instruction = trials.execute.instruction.cpu().numpy()
            best = env.optimal_return(np.repeat(whole, n), instruction).reshape(-1, n).mean(1)
            optimal.append(best[:count])
    return TrialResults(
        problem_id,
        np.concatenate(returns),
        np.concatenate(optimal) if optimal else None,
        np.concatenate(lengths),
    )


def spread_over_problems(env: MetaEnv, split: str, trials: int, seed: int) -> NDArray[np.int64]:
    """(trials,) problem ids of a split, every problem as often as every other (to within one)."""
    return env.problems.sample(split, trials, np.random.default_rng(seed))


def score(play: Play, env: MetaEnv, split: str, trials: int, seed: int) -> dict[str, float]:
    """Scores on a split, metric -> value.

    Returns:
        return: mean return of an execution episode;
        explore_length: mean environment steps of an exploration;
        normalised: the score between the bounds; for a family without them return_low and return_high instead, the
            95% interval of the return.
    """
    results = run_trials(play, env, spread_over_problems(env, split, trials, seed), seed)
    scores = {"return": float(results.returns.mean()), "explore_length": float(results.explore_length.mean())}
    if (bounds := mean_bounds(env, results)) is not None:
        floor, best = bounds
        return scores | {"normalised": float((results.returns.mean() - floor) / (best - floor))}
    interval = return_interval(results)
    return scores | {"return_low": interval.low, "return_high": interval.high}


def mean_bounds(env: MetaEnv, results: TrialResults) -> tuple[float, float] | None:
    """(mean return without exploration, mean optimal return), or None.

    None where the family does not know both, or where exploring gains nothing: there is no score to normalise then.
    """
    floor, best = no_exploration(env), results.optimal
    if floor is None or best is None or not best.mean() > floor:
        return None
    return floor, float(best.mean())


def no_exploration(env: MetaEnv) -> float | None:
    """The family's best mean return without exploration; None if it does not know it."""
    try:
        return env.no_exploration_return()
    except NotImplementedError:
        return None


def has_bounds(env: MetaEnv) -> bool:
    """Whether the family knows both bounds of a normalised score."""
    problem_id = env.problems.ids("train")[:1]
    try:
        env.optimal_return(problem_id, env.sample_instruction(problem_id, np.random.default_rng(0)))
    except NotImplementedError:
        return False
    return no_exploration(env) is not None


def return_interval(results: TrialResults) -> Interval:
    """Mean return and its 95% bootstrap interval over trials."""
    return stratified_bootstrap(mean, results.returns, samples=2_000)


def load_method(
    run_dir: Path | str,
    device: str = "cpu",
    members: int = MEMBERS,
    env_parameters: Mapping[str, Any] | None = None,
    weights: Weights | None = None,
    *,
    describes_problems: bool = True,
) -> tuple[Method, MetaEnv, int]:
    """Load the trained method of a run.

    Args:
        run_dir: the directory that `train` wrote, or what `pretrained` returns.
        device: torch device.
        members: of the environment.
        env_parameters: parameters of the family that differ from those of training, such as {"variant": "walls"}.
        weights: which checkpoint. By default the best on validation; where validation problems are test problems the
            final one, because choosing the best of several scores on test problems would overstate it. A run that has
            no best checkpoint has its final one loaded, and vice versa.
        describes_problems: whether what reads the description of a problem in training is needed, such as f. If not,
            the description may differ from that of training.

    Returns:
        The method, an environment of its family, and the step of the checkpoint.

    Raises:
        UserError: the directory is not a run, or one of another version; it has no checkpoint yet, or a damaged one, or
            one that does not fit its config.yaml; its family or method cannot be found or built; it does not fit the
            env with these parameters.
    """
    run = RunDirectory.read(run_dir)
    trained = config = run.settings(device=device)
    if env_parameters:
        config = dataclasses.replace(config, env_parameters={**config.env_parameters, **env_parameters})
    if not (run.checkpoints.all(best=True) or run.checkpoints.all()):
        raise UserError(f"{run_dir} has no checkpoint yet: train it first, or wait for its first checkpoint")
    try:
        method, env = build(config, members)
    except (ValueError, TypeError) as error:
        raise UserError(f"{config.method} on {config.env}, as {run_dir} has it, cannot be built: {error}") from error

    unread = env_parameters is not None and _other_description(run_dir, trained, env, describes_problems)

    def use(step: int, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        expected = method.weights()
        if unread:  # keep the fresh weights of what reads the description: nothing else can be of another shape
            other = {name for name, value in expected.items() if name in weights and weights[name].shape != value.shape}
            weights = {name: expected[name] if name in other else value for name, value in weights.items()}
        check_weights(weights, expected)
        method.load_weights(weights)

    best = (weights or score_weights(env)) == "best"
    loaded = None
    for choice in (best, not best):
        loaded = loaded or run.checkpoints.load(best=choice, device=device, use=use)
    if loaded is None:
        raise UserError(f"the checkpoints in {run_dir} were deleted while they were read: give the command again")
    step, _, _ = loaded
    return method, env, step


def _other_description(run_dir: Path | str, trained: TrainConfig, env: MetaEnv, describes_problems: bool) -> bool:
    """Whether problems are described otherwise than in training.

    Raises UserError if the spaces differ, which no network of the run fits, or if the description is needed.
    """
    with contextlib.closing(make_env(trained, 1)) as before:
        for name in ("single_observation_space", "instruction_space", "single_action_space"):
            then, now = getattr(before, name), getattr(env, name)
            if then != now:
                kind = name.removeprefix("single_").removesuffix("_space")
                raise UserError(
                    f"{run_dir} does not fit this env: its {kind} space was {then} in training and is {now} here. "
                    "Evaluate it with the parameters of training, or train a run with these"
                )
        same = _description(before.problems) == _description(env.problems)
    if not same and (describes_problems or find_method(trained.method).given_problem):
        raise UserError(
            f"{run_dir} does not fit this env: its problems are described otherwise than in training, and "
            + (f"{trained.method} is given the problem" if not describes_problems else "this shows f(problem)")
        )
    return not same


def _description(problems: ProblemSet) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What decides the shape of a problem encoder."""
    return problems.factors, () if problems.description is None else problems.description.shape[1:]


def _trained_on(run_dir: Path | str, env: MetaEnv, split: str) -> int:
    """Of the problems of a split of this env, how many the run was trained on; 0 where the problems are others."""
    with contextlib.closing(make_env(RunDirectory.read(run_dir).settings(), 1)) as trained:
        mine, theirs = [[*_contents(one)] for one in (env, trained)]
        same = len(mine) == len(theirs) and all(map(np.array_equal, mine, theirs))
        return int(np.isin(env.problems.ids(split), trained.problems.ids("train")).sum()) if same else 0


def _contents(env: MetaEnv) -> Iterator[NDArray[Any]]:
    """What distinguishes the problems of a family, independent of how they are described to f."""
    yield from (part.labels for part in env.parts())
    if not env.parts():
        yield env.problems.factor_table
    if env.problems.description is not None:
        yield env.problems.description


def score_weights(env: MetaEnv) -> Weights:
    """The weights that give the score of a run: the best on validation where validation problems are held out."""
    return "best" if env.problems.validates else "final"


def evaluate_run(
    run_dir: Path | str,
    *,
    split: str = "test",
    trials: int = 1000,
    seed: int = 0,
    device: str = "cpu",
    env_parameters: Mapping[str, Any] | None = None,
    weights: Weights | None = None,
) -> EvalResult:
    """Evaluate a trained run on a split. Arguments and errors as for `load_method`.

    Where parameters differ from those of training, the result's `env` names them: "sign[variant=walls]".
    """
    method, env, step = load_method(
        run_dir, device, min(trials, MEMBERS), env_parameters, weights, describes_problems=False
    )
    with contextlib.closing(env):
        results = run_trials(method.play, env, spread_over_problems(env, split, trials, seed), seed)
        bounds, floor = mean_bounds(env, results), no_exploration(env)
        counting, trained_on = score_weights(env), _trained_on(run_dir, env, split)
    config, got = method.config, return_interval(results)
    best = None if results.optimal is None else float(results.optimal.mean())
    interval: Any = (None, None, None)
    if bounds is not None and results.optimal is not None:
        interval = normalised_interval(results.returns, results.optimal, bounds[0])
    return EvalResult(
        env=f"{config.env}[{changed}]" if (changed := _named(env_parameters)) else config.env,
        method=config.method,
        seed=config.seed,
        step=step,
        split=split,
        trials=trials,
        trials_seed=seed,
        weights=weights or counting,
        counts=weights in (None, counting),
        return_mean=float(results.returns.mean()),
        return_low=got.low,
        return_high=got.high,
        optimal_mean=best,
        regret=None if best is None else best - float(results.returns.mean()),
        no_exploration=floor,
        normalised=interval[0],
        normalised_low=interval[1],
        normalised_high=interval[2],
        explore_length=float(results.explore_length.mean()),
        trained_on=trained_on,
    )


def _named(parameters: Mapping[str, Any] | None) -> str:
    return ",".join(f"{name}={value}" for name, value in (parameters or {}).items())
