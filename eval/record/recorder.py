"""Plays trials and records them as `dream.eval.record.recorded.RecordedTrials`."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dream.core.actions import Actions
from dream.core.bottleneck import last_prefix
from dream.core.trial import Episodes, Trials
from dream.envs import MetaEnv, ProblemSet, Watcher
from dream.envs.watch import one_behind_the_other, side_by_side
from dream.eval.evaluate import seeded_batches
from dream.eval.record.outputs import shown
from dream.eval.record.recorded import RecordedStreams, RecordedTrials, joined, trimmed
from dream.methods.encoding import description_table
from dream.methods.protocol import Method
from dream.spaces import each

MOST_CANDIDATES = 1024
"""Most problems in a belief; the true ones are added."""


def record_trials(
    method: Method, env: MetaEnv, problem_id: NDArray[np.int64], seed: int, *, step: int = 0
) -> RecordedTrials:
    """Play one greedy trial in each of the given problems and record it. Recording does not change how it is played.

    Args:
        method: explores and executes. Codes, beliefs and values are recorded of decoupled pairs only.
        env: any number of members; its current episodes are lost.
        problem_id: (N,) ints, at least one. Policies do not see them, except those that are given the problem id.
        seed: of starts, instructions, and a random explorer's actions.
        step: environment steps that the method was trained for.
    """
    problem_id = np.asarray(problem_id, np.int64)
    encoders = _Encoders(method, env, problem_id) if method.pair is not None else None
    actions = Actions(env.single_action_space)
    batches = []
    for whole, count, generator in seeded_batches(env, problem_id, seed):
        watcher = Watcher(env)
        explore = method.explore(watcher, whole, generator)
        watched_exploring = one_behind_the_other(watcher.take(), explore.mask.shape[1] + 1)
        trials = method.execute(watcher, whole, explore, generator)
        watched_executing = side_by_side(watcher.take())
        n = trials.execute_episodes
        execute = _streams(trials.execute, actions, watched_executing)
        best = None
        with contextlib.suppress(NotImplementedError):
            best = env.optimal_return(np.repeat(whole, n), execute.instruction).reshape(-1, n)
        recorded = RecordedTrials(
            env=method.config.env,
            env_parameters=dict(method.config.env_parameters),
            method=method.config.method,
            step=step,
            seed=seed,
            problem_id=whole,
            explore=_streams(trials.explore, actions, watched_exploring),
            execute=execute,
            returns=execute.reward.sum(axis=1, dtype=np.float64).reshape(-1, n),
            optimal=best,
        )
        if encoders is not None:
            recorded = encoders.look(recorded, trials)
        batches.append(recorded.select(range(count)))
    return trimmed(joined(batches))


class _Encoders:
    """Evaluates f, g and the policies of a pair on recorded trials."""

    def __init__(self, method: Method, env: MetaEnv, problem_id: NDArray[np.int64]) -> None:
        assert method.pair is not None
        self._networks, self._method = method.pair, method
        self._actions = Actions(env.single_action_space)
        learned, train = learned_problems(env.problems), env.problems.ids("train")
        known = np.flatnonzero(learned)
        some = known[np.linspace(0, len(known) - 1, min(len(known), MOST_CANDIDATES)).astype(np.int64)]
        self._candidates = np.union1d(some, problem_id[learned[problem_id]])
        with torch.no_grad():
            self._codes = method.pair.f(description_table(env).to(method.device)).cpu().numpy()
        self._code, self._known = self._codes.copy(), learned
        matters = [part.labels for part in env.parts() if part.relevant]
        for unknown in np.unique(problem_id[~learned[problem_id]]).tolist():
            alike = [labels[train] == labels[unknown] for labels in matters]
            like = train[np.all(alike, axis=0)] if alike else train[:0]
            self._code[unknown] = self._codes[like].mean(axis=0) if len(like) else np.nan

    @torch.no_grad()
    def look(self, recorded: RecordedTrials, trials: Trials) -> RecordedTrials:
        """The recording with codes, prefixes, and what the policies thought of actions."""
        net, config = self._networks, self._method.config
        ids, explore, execute = recorded.problem_id, trials.explore, trials.execute
        frame_features = net.g.encode_frames(explore)
        prefixes = net.g(explore, frame_features)
        z = last_prefix(prefixes, explore)
        given_id = trials.used_id[:, None]
        code = torch.zeros_like(z)
        if self._method.context != "instruction":
            code = torch.from_numpy(self._codes[ids]).to(z.device)
        z = torch.where(given_id, code, z)
        given = z.repeat_interleave(trials.execute_episodes, 0)
        out = net.executor(execute, net.executor.encode_frames(execute), given)
        executing = shown(out, config.executor.learner, self._actions, net.executor_returns)
        kinds, explored = {"execute": executing.kind}, recorded.explore
        if net.explorer is not None:
            out = net.explorer(explore, net.explorer.stream_features(explore, frame_features))
            exploring = shown(out, config.explorer.learner, self._actions, net.explorer_returns)
            kinds["explore"], explored = exploring.kind, exploring.on(explored)
        return dataclasses.replace(
            recorded,
            explore=explored,
            execute=executing.on(recorded.execute),
            values_kind=kinds,
            context=self._method.context,
            noise=config.bottleneck.noise_std,
            prefixes=prefixes.cpu().numpy(),
            z=z.cpu().numpy(),
            code=self._code[ids],
            known=self._known[ids],
            candidates=self._candidates,
            codes=self._codes[self._candidates],
        )


def learned_problems(problems: ProblemSet) -> NDArray[np.bool_]:
    """(problems,) those that f has learned: each of their factors occurs in the training split, or numbers describe
    them, and f generalises over these.
    """
    if problems.description is not None:
        return np.ones(problems.num_problems, np.bool_)
    table, train = problems.factor_table, problems.ids("train")
    return np.all([np.isin(table[:, k], table[train, k]) for k in range(table.shape[1])], axis=0)


def _streams(episodes: Episodes, actions: Actions, watched: Mapping[str, NDArray[Any]]) -> RecordedStreams:
    arrays = {
        item.name: each(lambda part: part.cpu().numpy(), getattr(episodes, item.name))
        for item in dataclasses.fields(Episodes)
    }
    arrays["action"] = actions.recorded(episodes.action, episodes.transition)
    scene = {name.removeprefix("scene."): array for name, array in watched.items() if name.startswith("scene.")}
    return RecordedStreams(
        **arrays, position=watched.get("position"), informative=watched.get("informative"), scene=scene
    )
