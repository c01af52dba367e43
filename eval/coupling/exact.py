"""The coupling problem with tables: trials that end-to-end and decoupled learning need as the number of actions grows.

After the tabular analysis of the DREAM paper (Liu et al. 2021), with our own setting and constants. This is the
smallest family in which exploration and execution depend on each other: one exploration step, then one execution step,
|A| actions each, M problems.

    mu ~ uniform over M problems
    explore a:  action a* reveals mu; every other action gives the same observation in all problems
    execute b:  reward 1 if b = c(mu), the correct action of the problem, else 0         (c is injective)

Each run draws its own a* and c. The optimal pair earns 1; without exploration the best executor earns 1 / M. A sample
is one trial (one exploration and one execution step). Both learners use Q-learning with sample averages (step size
1 / n, tables initialised at 0), act with the same epsilon (uniformly by default) and get equally many trials. They
differ in the targets of their two tables:

    coupled (end to end, the tabular RL^2)         decoupled (the tabular DREAM)
    executor  Q(tau, b) <- r                       Q(mu, b) <- r, given the problem id: z = mu
    explorer  Q(a) <- max_b Q(tau, b)              Q(a) <- log q(mu | tau) - log q(mu), nats: the exploration reward
    at test   tau -> argmax_b Q(tau, b)            tau -> z = argmax_mu q(mu | tau) -> argmax_b Q(z, b)

tau = (a, its observation); q(mu | tau) = (n(tau, mu) + 1) / (n(tau) + M), with counts of earlier trials only.

Theory for uniform acting, with the harmonic number H_n = 1 + 1/2 + ... + 1/n:

- Coupled: the executor is right in every problem once each of the M triples (a*, mu, c(mu)) has occurred, as
  exploration and execution must be right in the same trial. This is a coupon collector with M coupons of probability
  1 / (M |A|^2): |A|^2 M H_M trials in expectation, exactly. It bounds the pair from below, as the explorer takes
  longer: one lucky b under an uninformative tau keeps max_b Q(tau, b) at 1 until b is tried again, and trying all |A|
  of them a few times under all |A| - 1 uninformative tau takes about |A|^2 M log |A| trials (an order, not proven).
- Decoupled: the pair needs each (mu, c(mu)) once, and each (a*, mu) once to decode it: 2 M coupons of probability
  1 / (M |A|), hence |A| M H_2M trials in expectation, ignoring trials that bring two coupons. The expected exploration
  reward of an uninformative action is at most the divergence of q(mu) from uniform, which vanishes (Gibbs'
  inequality); that of a* is positive once a problem recurs under it. The explorer therefore needs a number of visits
  to a* that depends on M: |A| times that, with a logarithm because |A| - 1 noisy averages must settle (an order).

With M fixed, the log-log slopes in |A| are therefore 1 (decoupled) and 2 (coupled), slightly more with the logarithms.
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
    """The problems of R runs, each with its own a* and c."""

    informative: Ints
    """a*, (R,)"""
    right: Ints
    """c(mu), (R, M)"""
    actions: int

    @classmethod
    def draw(cls, runs: int, actions: int, problems: int, rng: np.random.Generator) -> Family:
        """Draw a* uniformly, and c uniformly among injective maps."""
        orders = rng.permuted(np.tile(np.arange(actions), (runs, 1)), axis=1)
        return cls(rng.integers(actions, size=runs), orders[:, :problems], actions)

    def history(self, problem: Ints, explore: Ints) -> Ints:
        """Index of tau = (a, observation), (R,): |A| + mu if a = a*, else a."""
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
        """Whether the greedy executor takes c(mu) after an exploration that revealed the problem, (R,)."""


class Coupled:
    """Q-learning on the whole trial: the explorer's target is the executor's value of the history."""

    def __init__(self, runs: int, actions: int, problems: int) -> None:
        self._runs, self._actions = np.arange(runs), actions
        self.explorer, self._explored = _tables(runs, actions)
        self.executor, self._executed = _tables(runs, actions + problems, actions)

    def execute_values(self, problem: Ints, history: Ints) -> Floats:
        """Q(tau, .)."""
        return self.executor[self._runs, history]

    def update(self, problem: Ints, explore: Ints, history: Ints, execute: Ints, reward: Floats) -> None:
        """Backwards, so that the explorer's target includes the executor's latest update."""
        _average(self.executor, self._executed, (self._runs, history, execute), reward)
        target = self.executor[self._runs, history].max(1)
        _average(self.explorer, self._explored, (self._runs, explore), target)

    def executes_right(self, problem: Ints, right: Ints) -> Bools:
        """Under tau = (a*, mu)."""
        return strictly_best(self.executor[self._runs, self._actions + problem], right)


class Decoupled:
    """The executor learns from the problem id, the explorer from the gain in predicting the id."""

    def __init__(self, runs: int, actions: int, problems: int) -> None:
        self._runs, self._actions, self._problems = np.arange(runs), actions, problems
        self.explorer, self._explored = _tables(runs, actions)
        self.executor, self._executed = _tables(runs, problems, actions)
        self._counts = np.zeros((runs, actions + problems, problems), dtype=np.int64)  # n(tau, mu)

    def execute_values(self, problem: Ints, history: Ints) -> Floats:
        """Q(mu, .): the id replaces the decoded exploration."""
        return self.executor[self._runs, problem]

    def exploration_reward(self, problem: Ints, history: Ints) -> Floats:
        """log q(mu | tau) - log q(mu), nats, (R,): the information in the history (eq. 5 with c = 0)."""
        counts = self._counts[self._runs, history]  # (R, M)
        everything = self._counts.sum(1)  # (R, M)

        def log_q(counts: Ints) -> Floats:
            return np.log((counts[self._runs, problem] + 1) / (counts.sum(1) + self._problems))

        return log_q(counts) - log_q(everything)

    def update(self, problem: Ints, explore: Ints, history: Ints, execute: Ints, reward: Floats) -> None:
        """The exploration reward uses the counts of earlier trials."""
        _average(self.explorer, self._explored, (self._runs, explore), self.exploration_reward(problem, history))
        self._counts[self._runs, history, problem] += 1
        _average(self.executor, self._executed, (self._runs, problem, execute), reward)

    def executes_right(self, problem: Ints, right: Ints) -> Bools:
        """Whether tau = (a*, mu) decodes to mu and the executor is right given mu."""
        decoded = strictly_best(self._counts[self._runs, self._actions + problem], problem)
        return decoded & strictly_best(self.executor[self._runs, problem], right)


MAKE: dict[Name, Callable[[int, int, int], Learner]] = {"coupled": Coupled, "decoupled": Decoupled}


@dataclass(frozen=True)
class Samples:
    """Trials until each run was solved, (R,) each, inf if it was not.

    A run is solved at trial T if the greedy policies are optimal at every trial from T to 2 T. A greedy action counts
    only if its value is strictly the largest.
    """

    learner: Name
    actions: int
    problems: int
    explorer: Floats
    """the exploration policy takes a*"""
    executor: Floats
    """the execution policy takes c(mu) in every problem after a*"""
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
        problems: M, from 2 to |A|, as each has its own correct action.
        runs: R.
        seed: of everything; both learners get the same families and problems.
        max_trials: limit; a run solved at T takes 2 T trials to recognise.
        epsilon: share of uniformly random actions in both phases; the others are greedy.
        on_solved: called now and then with the number of solved runs.

    Raises:
        UserError: a number is out of range.
    """
    check(actions, problems, runs, seed, max_trials, epsilon)
    rng = np.random.default_rng([seed, actions, problems])
    family = Family.draw(runs, actions, problems, rng)
    tables = MAKE[learner](runs, actions, problems)
    each = np.arange(runs)
    executes = np.zeros((runs, problems), dtype=bool)
    since = np.full((3, runs), np.inf)  # first trial since which explorer, executor, pair have been optimal
    result = np.full((3, runs), np.inf)
    running = np.ones(runs, dtype=bool)
    for trial in range(1, max_trials + 1):
        row = (trial - 1) % _CHUNK
        if row == 0:
            on_solved(runs - int(running.sum()))
            drawn_problem = rng.integers(problems, size=(_CHUNK, runs))
            drawn_action = rng.integers(actions, size=(2, _CHUNK, runs))
            uniform = rng.random((2, _CHUNK, runs)) < epsilon
        problem = drawn_problem[row]
        explore, execute = drawn_action[:, row]
        if epsilon < 1:
            explore = np.where(uniform[0, row], explore, greedy(tables.explorer, rng))
        history = family.history(problem, explore)
        if epsilon < 1:
            values = tables.execute_values(problem, history)
            execute = np.where(uniform[1, row], execute, greedy(values, rng))
        tables.update(problem, explore, history, execute, family.reward(problem, execute))

        # Of the entries that the optimal pair uses, only those of this problem have changed.
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
    else:  # the explorer or the executor alone may be solved
        result[:, running] = np.where(max_trials >= 2 * since, since, np.inf)[:, running]
    on_solved(runs - int(running.sum()))
    return Samples(learner, actions, problems, *result)


def check(actions: int, problems: int, runs: int, seed: int, max_trials: int, epsilon: float) -> None:
    """Raise UserError for a number that `samples_to_solve` cannot use."""
    if not 2 <= problems <= actions:
        raise UserError(
            f"{problems} problems with {actions} actions: give at least 2 problems and at least as many actions as "
            "problems, as each problem has its own correct action"
        )
    for name, value, least in (("runs", runs, 1), ("seed", seed, 0), ("max-trials", max_trials, 1)):
        if value < least:
            raise UserError(f"--{name} is {value}: it must be at least {least}")
    if not 0 < epsilon <= 1:
        raise UserError(f"--epsilon is {epsilon}: it must be above 0 and at most 1")


def strictly_best(values: NDArray[np.float64] | Ints, action: Ints) -> Bools:
    """Whether the value of one column is strictly the largest, (R, N) and (R,) -> (R,)."""
    chosen = np.take_along_axis(values, action[:, None], axis=1)
    return np.asarray((values >= chosen).sum(1) == 1)


def greedy(values: Floats, rng: np.random.Generator) -> Ints:
    """Argmax of each row, ties broken uniform, (R, N) -> (R,)."""
    best = values == values.max(1, keepdims=True)
    return np.asarray((best * rng.random(values.shape)).argmax(1))


def _tables(*shape: int) -> tuple[Floats, Ints]:
    return np.zeros(shape), np.zeros(shape, dtype=np.int64)


def _average(values: Floats, counts: Ints, where: tuple[Ints, ...], target: Floats) -> None:
    """Update distinct entries to the mean of their targets so far: step size 1 / n."""
    counts[where] += 1
    values[where] += (target - values[where]) / counts[where]
