"""The coupling problem in tables: how many trials end-to-end and decoupled learning need as the actions grow in number.

After the tabular analysis of the DREAM paper (Liu et al. 2021), with a setting and constants of our own. The smallest
family in which exploring and executing depend on each other: one exploration step, then one execution step, |A| actions
each, M problems.

    mu ~ uniform over M problems
    explore a:  the one action a* shows mu; every other action shows the same nothing in all problems
    execute b:  reward 1 if b = c(mu), the one right action of the problem, else 0       (c: no two problems alike)

Each run draws a* and c anew. The optimal pair earns 1; without exploring no executor earns more than 1 / M. A sample is
one trial (one exploration and one execution step). Both learners are Q-learning with sample averages (step size 1 / n,
tables that start at 0), both act with the same epsilon, uniformly by default, and see equally many trials. They differ
in what trains their two tables:

    coupled (end to end, the tabular RL^2)         decoupled (the tabular DREAM)
    executor  Q(tau, b) <- r                       Q(mu, b) <- r, given the problem id: z = mu
    explorer  Q(a) <- max_b Q(tau, b)              Q(a) <- log q(mu | tau) - log q(mu), nats: the exploration reward
    at test   tau -> argmax_b Q(tau, b)            tau -> z = argmax_mu q(mu | tau) -> argmax_b Q(z, b)

tau = (a, what it showed); q(mu | tau) = (n(tau, mu) + 1) / (n(tau) + M) from the counts of the trials before: no trial
predicts itself.

What theory says about uniform acting, H_n being the harmonic number 1 + 1/2 + ... + 1/n:

- The coupled executor is right on every problem once each of the M triples (a*, mu, c(mu)) has come up: exploring and
  executing must be right in the same trial. A coupon collector with M coupons of probability 1 / (M |A|^2): after
  |A|^2 M H_M trials in the mean, exactly. A bound for the pair, as its explorer is later still: one lucky b under a
  useless tau keeps max_b Q(tau, b) at 1 until b is tried again, and to try all |A| of them a few times under all
  |A| - 1 useless tau takes about |A|^2 M log |A| trials (an order, not proven here).
- The decoupled pair needs each (mu, c(mu)) once, and each (a*, mu) once to decode it: 2 M coupons of probability
  1 / (M |A|), and |A| M H_2M trials in the mean but for the trials that bring two. The exploration reward of an action
  that shows nothing is in the mean at most the divergence of q(mu) from uniform, which vanishes (Gibbs' inequality);
  that of a* is positive once a problem comes up under it again. So the explorer needs some visits to a*, how many M
  decides: |A| times that, and a logarithm, as |A| - 1 noisy averages must settle (an order, not proven here).

So, with M fixed, log-log slopes in |A| of 1 (decoupled) and 2 (coupled), or a little more where the logarithms show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from dream.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

Name = Literal["coupled", "decoupled"]
LEARNERS: tuple[Name, ...] = ("coupled", "decoupled")
_CHUNK = 256  # trials whose random numbers are drawn at once


@dataclass(frozen=True)
class Family:
    """The problems of R runs, each with its own actions that matter."""

    informative: Ints
    """a*, (R,)"""
    right: Ints
    """c(mu), (R, M)"""
    actions: int

    @classmethod
    def draw(cls, runs: int, actions: int, problems: int, rng: np.random.Generator) -> Family:
        """Draw a* evenly, and c evenly among those that give no two problems the same action."""
        orders = rng.permuted(np.tile(np.arange(actions), (runs, 1)), axis=1)
        return cls(rng.integers(actions, size=runs), orders[:, :problems], actions)

    def history(self, problem: Ints, explore: Ints) -> Ints:
        """Index of tau = (a, what it showed), (R,): a where nothing was shown, |A| + mu where mu was."""
        return np.where(explore == self.informative, self.actions + problem, explore)

    def reward(self, problem: Ints, execute: Ints) -> Floats:
        """1 where b = c(mu), else 0, (R,)."""
        return (execute == self.right[np.arange(len(problem)), problem]).astype(np.float64)


class Learner(Protocol):
    """Tables of R runs side by side; every argument below is (R,), one trial a run."""

    explorer: Floats
    """Q(a), (R, |A|)"""

    def execute_values(self, problem: Ints, history: Ints) -> Floats:
        """Q of the execution actions in a training trial, (R, |A|)."""

    def update(self, problem: Ints, explore: Ints, history: Ints, execute: Ints, reward: Floats) -> None:
        """Learn from one trial a run."""

    def executes_right(self, problem: Ints, right: Ints) -> Bools:
        """Whether the greedy executor would do c(mu) in a problem that the exploration has shown, (R,)."""


class Coupled:
    """Q-learning on the whole trial: the explorer is paid by what the executor makes of the history."""

    def __init__(self, runs: int, actions: int, problems: int) -> None:
        self._runs, self._actions = np.arange(runs), actions
        self.explorer, self._explored = _tables(runs, actions)
        self.executor, self._executed = _tables(runs, actions + problems, actions)

    def execute_values(self, problem: Ints, history: Ints) -> Floats:
        """Q(tau, .)."""
        return self.executor[self._runs, history]

    def update(self, problem: Ints, explore: Ints, history: Ints, execute: Ints, reward: Floats) -> None:
        """Backwards, so that the explorer's target holds what the executor has just learned."""
        _average(self.executor, self._executed, (self._runs, history, execute), reward)
        target = self.executor[self._runs, history].max(1)
        _average(self.explorer, self._explored, (self._runs, explore), target)

    def executes_right(self, problem: Ints, right: Ints) -> Bools:
        """Under tau = (a*, mu)."""
        return strictly_best(self.executor[self._runs, self._actions + problem], right)


class Decoupled:
    """The executor learns from the problem id, the explorer from how much better its history predicts the id."""

    def __init__(self, runs: int, actions: int, problems: int) -> None:
        self._runs, self._actions, self._problems = np.arange(runs), actions, problems
        self.explorer, self._explored = _tables(runs, actions)
        self.executor, self._executed = _tables(runs, problems, actions)
        self._seen = np.zeros((runs, actions + problems, problems), dtype=np.int64)  # n(tau, mu)

    def execute_values(self, problem: Ints, history: Ints) -> Floats:
        """Q(mu, .): the id stands in for what an exploration will tell."""
        return self.executor[self._runs, problem]

    def exploration_reward(self, problem: Ints, history: Ints) -> Floats:
        """log q(mu | tau) - log q(mu), nats, (R,): what the history tells (eq. 5, c = 0)."""
        counts = self._seen[self._runs, history]  # (R, M)
        everything = self._seen.sum(1)  # (R, M)

        def log_q(seen: Ints) -> Floats:
            return np.log((seen[self._runs, problem] + 1) / (seen.sum(1) + self._problems))

        return log_q(counts) - log_q(everything)

    def update(self, problem: Ints, explore: Ints, history: Ints, execute: Ints, reward: Floats) -> None:
        """The exploration reward comes from the counts before this trial is counted."""
        _average(self.explorer, self._explored, (self._runs, explore), self.exploration_reward(problem, history))
        self._seen[self._runs, history, problem] += 1
        _average(self.executor, self._executed, (self._runs, problem, execute), reward)

    def executes_right(self, problem: Ints, right: Ints) -> Bools:
        """Where tau = (a*, mu) decodes to mu, and the executor is right given mu."""
        decoded = strictly_best(self._seen[self._runs, self._actions + problem], problem)
        return decoded & strictly_best(self.executor[self._runs, problem], right)


MAKE: dict[Name, Callable[[int, int, int], Learner]] = {"coupled": Coupled, "decoupled": Decoupled}


@dataclass(frozen=True)
class Samples:
    """Trials until each run was solved, (R,) each, inf where it was not.

    Solved from trial T on: greedy and optimal at each trial from T to the end of the run, which comes when both
    policies have stayed optimal for as long again, at 2 T. A greedy action counts only if it is better than all others:
    a tie is no knowledge.
    """

    learner: Name
    actions: int
    problems: int
    explorer: Floats
    """the exploration policy does a*"""
    executor: Floats
    """the execution policy does c(mu) in every problem, once a* was done"""
    pair: Floats
    """both: the larger of the two"""


def samples_to_solve(
    learner: Name,
    actions: int,
    problems: int = 4,
    runs: int = 100,
    seed: int = 0,
    max_trials: int = 2_000_000,
    epsilon: float = 1.0,
    on_solved: Callable[[int], None] = lambda solved: None,
) -> Samples:
    """Train `runs` independent runs side by side until all are solved, or for `max_trials` trials each.

    Args:
        learner: which of the two.
        actions: |A|.
        problems: M, from 2 to |A|: each has an action of its own.
        runs: R.
        seed: the same seed gives the same numbers, and both learners the same families and problems.
        max_trials: where to give up; at least 2 T are needed to say that a run is solved at T.
        epsilon: share of actions, in both phases, that are drawn evenly; the others are greedy.
        on_solved: called with the number of runs that are solved, now and then.

    Raises:
        UserError: for a number that is out of range.
    """
    check(actions, problems, runs, seed, max_trials, epsilon)
    rng = np.random.default_rng([seed, actions, problems])
    family = Family.draw(runs, actions, problems, rng)
    tables = MAKE[learner](runs, actions, problems)
    each = np.arange(runs)
    executes = np.zeros((runs, problems), dtype=bool)
    since = np.full((3, runs), np.inf)  # trial from which explorer, executor, pair have been optimal without a break
    result = np.full((3, runs), np.inf)
    running = np.ones(runs, dtype=bool)
    for trial in range(1, max_trials + 1):
        row = (trial - 1) % _CHUNK
        if row == 0:
            on_solved(runs - int(running.sum()))
            drawn_problem = rng.integers(problems, size=(_CHUNK, runs))
            drawn_action = rng.integers(actions, size=(2, _CHUNK, runs))
            evenly = rng.random((2, _CHUNK, runs)) < epsilon
        problem = drawn_problem[row]
        explore, execute = drawn_action[:, row]
        if epsilon < 1:
            explore = np.where(evenly[0, row], explore, greedy(tables.explorer, rng))
        history = family.history(problem, explore)
        if epsilon < 1:
            values = tables.execute_values(problem, history)
            execute = np.where(evenly[1, row], execute, greedy(values, rng))
        tables.update(problem, explore, history, execute, family.reward(problem, execute))

        # Nothing but the rows of this problem has changed of what the optimal pair would use.
        executes[each, problem] = tables.executes_right(problem, family.right[each, problem])
        optimal = np.empty((3, runs), dtype=bool)
        optimal[0] = strictly_best(tables.explorer, family.informative)
        optimal[1] = executes.all(1)
        optimal[2] = optimal[0] & optimal[1]
        since = np.where(optimal, np.minimum(since, trial), np.inf)
        over = running & (trial >= 2 * since[2])
        if over.any():
            result[:, over] = since[:, over]
            running &= ~over
            if not running.any():
                break
    else:  # the explorer alone, or the executor alone, may have been optimal for long enough
        result[:, running] = np.where(max_trials >= 2 * since, since, np.inf)[:, running]
    on_solved(runs - int(running.sum()))
    return Samples(learner, actions, problems, *result)


def check(actions: int, problems: int, runs: int, seed: int, max_trials: int, epsilon: float) -> None:
    """Raise UserError for a number that `samples_to_solve` cannot use."""
    if not 2 <= problems <= actions:
        raise UserError(
            f"{problems} problems with {actions} actions: take 2 problems or more, and at least as many actions, "
            "as each problem has a right action of its own"
        )
    for name, value, least in (("runs", runs, 1), ("seed", seed, 0), ("max-trials", max_trials, 1)):
        if value < least:
            raise UserError(f"--{name} is {value}: it must be at least {least}")
    if not 0 < epsilon <= 1:
        raise UserError(f"--epsilon is {epsilon}: it must be above 0 and at most 1")


def strictly_best(values: NDArray[np.float64] | Ints, action: Ints) -> Bools:
    """Whether the value of one column is above those of all others, (R, N) and (R,) -> (R,)."""
    chosen = np.take_along_axis(values, action[:, None], axis=1)
    return np.asarray((values >= chosen).sum(1) == 1)


def greedy(values: Floats, rng: np.random.Generator) -> Ints:
    """Argmax of each row, ties broken evenly, (R, N) -> (R,)."""
    best = values == values.max(1, keepdims=True)
    return np.asarray((best * rng.random(values.shape)).argmax(1))


def _tables(*shape: int) -> tuple[Floats, Ints]:
    return np.zeros(shape), np.zeros(shape, dtype=np.int64)


def _average(values: Floats, counts: Ints, where: tuple[Ints, ...], target: Floats) -> None:
    """Move entries, all different, to the mean of the targets they have had: step size 1 / n."""
    counts[where] += 1
    values[where] += (target - values[where]) / counts[where]
