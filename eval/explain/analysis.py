"""Analyse explorers of one family: the swap matrix, the probe, and behaviour statistics, brought together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dream.envs.consistency import why_not_exact
from dream.eval.evaluate import spread_over_problems
from dream.eval.explain.behaviour import behaviour
from dream.eval.explain.bounds import Explorer, ScriptedExplorer, bound_executors, bound_explorers
from dream.eval.explain.explanation import Cell, Explanation, Explored
from dream.eval.explain.explorations import record_explorations
from dream.eval.explain.loading import LoadedRuns
from dream.eval.explain.probe import ProbeSettings, chance, exact_posterior, knowledge, probe
from dream.eval.explain.swap import execute_on
from dream.eval.show.visit_map import count_visits
from dream.spaces import has_image


def explain(
    loaded: LoadedRuns,
    trials: int = 500,
    seed: int = 0,
    settings: ProbeSettings | None = None,
    tell: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Explanation:
    """Analyse runs and bounds on test problems.

    Each explorer explores once per problem. A probe decodes the parts of the problem from these explorations, and
    executors continue from them: those of the same training seed, and of all seeds for a bound's explorations.

    Args:
        loaded: from `load_runs`.
        trials: on test problems, spread evenly.
        seed: of the trials and of the probes.
        settings: of the probes.
        tell: progress callback: pieces of work done, pieces in all, what comes next.
    """
    env = loaded.env
    explorers: list[tuple[str, int | None, Explorer]] = [(run.label, run.seed, run.method) for run in loaded.runs]
    labels = {run.label for run in loaded.runs}
    bounds = bound_explorers(env, loaded.explore_episodes)
    explorers += [(label, None, explorer) for label, explorer in bounds.items() if label not in labels]
    experts = bound_executors(env, loaded.execute_episodes)
    parts, problem_id = env.parts(), spread_over_problems(env, "test", trials, seed)
    explored: list[Explored] = []
    cells: list[Cell] = []
    expert_returns: dict[str, NDArray[np.float64]] = {}
    for number, (label, own_seed, explorer) in enumerate(explorers):
        name = label if own_seed is None else f"{label} seed {own_seed}"
        tell(3 * number, 3 * len(explorers), f"{name}: exploring, executors continue")
        recording = record_explorations(explorer, env, problem_id, seed, execute_episodes=loaded.execute_episodes)
        for run in loaded.runs:
            if own_seed in (None, run.seed):
                returns = execute_on(recording, run.method, env)
                cells.append(_cell(label, own_seed, run.label, run.seed, returns))
        for expert_label, expert in experts.items():
            if expert_label not in expert_returns:  # independent of the exploration: the expert is given the problem
                expert_returns[expert_label] = execute_on(recording, expert, env)
            cells.append(_cell(label, own_seed, expert_label, None, expert_returns[expert_label]))
        decoded = possible = None
        # Scripts on frames plan by rendering, 0.3 s a path: the thousands of explorations a probe needs take too long.
        if parts and not (isinstance(explorer, ScriptedExplorer) and has_image(env.single_observation_space)):
            tell(3 * number + 1, 3 * len(explorers), f"{name}: exact posterior")
            posterior = exact_posterior(env, recording.episodes)
            possible = None if posterior is None else knowledge(posterior, parts, problem_id)
            tell(3 * number + 2, 3 * len(explorers), f"{name}: training a probe")
            decoded = probe(explorer, env, recording, settings, seed)
        means = {measure: float(values.mean()) for measure, values in behaviour(recording, env).items()}
        position = recording.position
        visits = None if position is None else count_visits(position, env.map_extent) / len(position)
        explored.append(Explored(label, own_seed, means, visits, decoded, possible))
    tell(3 * len(explorers), 3 * len(explorers), "done")
    return Explanation(
        loaded.family,
        trials,
        parts,
        chance(parts, problem_id) if parts else None,
        explored,
        cells,
        None if explored[0].visits is None else env.map_extent,
        [*loaded.skipped, *([f"no exact posterior: {reason}"] if parts and (reason := why_not_exact(env)) else [])],
    )


def _cell(explorer: str, own_seed: int | None, executor: str, seed: int | None, returns: NDArray[np.float64]) -> Cell:
    error = float(returns.std(ddof=1) / np.sqrt(len(returns))) if len(returns) > 1 else float("nan")
    return Cell(explorer, own_seed, executor, seed, float(returns.mean()), error)
