"""How fast a machine trains: `dream bench`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from dream.config import override
from dream.envs import MetaEnv, find_family, make
from dream.errors import UserError
from dream.methods.build import build
from dream.methods.labels import MethodLabel
from dream.spaces import has_image, random_actions
from dream.training.allocator import keep_freed_memory
from dream.training.clock import Clock
from dream.training.rounds import Training, rounds

ENV_MEMBERS = 4096
"""Members when the environment is measured alone."""
MOST_TRIALS = 2_048
"""Most trials in the replay buffer of a measurement, which never fills it: frames take gigabytes."""
PIXEL_MEMBERS = {"fast": 128, "miniworld": 8}


class _TimedEnv:
    """An environment that adds up the seconds spent in its `reset` and `step`."""

    def __init__(self, env: MetaEnv):
        self._env = env
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self, **arguments: Any) -> Any:
        begin = time.perf_counter()
        result = self._env.reset(**arguments)
        self.seconds += time.perf_counter() - begin
        return result

    def step(self, actions: Any) -> Any:
        begin = time.perf_counter()
        result = self._env.step(actions)
        self.seconds += time.perf_counter() - begin
        return result


def run(
    envs: list[str],
    device: str = "cpu",
    seconds: float = 10.0,
    threads: int = 1,
    methods: Sequence[str] = ("dream",),
) -> list[dict[str, Any]]:
    """Measure methods on each family, and the family's environment alone. A method may be a label (`MethodLabel`).

    Returns one dict for each family and method: env, method, train_steps_per_s, env_steps_per_s (alone),
    sequences_per_s (replayed streams per second of learning), updates_per_s, replay_ratio (replayed transitions per
    environment step), env_share, act_share, learn_share (of the training time), device, threads. For a family with a
    reference backend the environment alone is measured by `measure_pixels`.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    return [
        measure_training(method, name, device, seconds, threads)
        | (
            measure_pixels(name, seconds)
            if find_family(name).reference_parameters
            else {"env_steps_per_s": measure_env(name)}
        )
        | {"device": device, "threads": threads}
        for name in envs
        for method in methods
    ]


def measure_training(label: str, name: str, device: str, seconds: float, threads: int) -> dict[str, Any]:
    """One method on one family, as described in `run`. The first fifth of the time warms up and does not count.

    The explorer's gate is held open (`explorer.min_explained`), as it is for most of a run.
    """
    config = MethodLabel.parse(label).config(name, 0, {"device": device, "threads": threads})
    config = override(config, {"learning.buffer_size": min(config.learning.buffer_size, MOST_TRIALS)})
    torch.manual_seed(0)
    method, env = build(config, config.learning.num_envs)
    env.training = True
    timed = _TimedEnv(env)
    training = Training(method, timed, 0)
    clock = Clock(wait=torch.cuda.synchronize if torch.device(device).type == "cuda" else None)
    steps = updates = 0
    replayed: list[dict[str, torch.Tensor]] = []
    begin, counting = time.perf_counter(), False
    method.skip_warmup()
    for done in rounds(training, clock):
        method.skip_warmup()
        if counting:
            replayed += done.updates
            if time.perf_counter() - begin >= seconds:
                break
        elif time.perf_counter() - begin > seconds * 0.2 and done.updates:
            counting, timed.seconds, steps, updates = True, 0.0, training.step, training.updates
            clock.seconds.clear()
            begin = time.perf_counter()
    act, learn = clock.seconds["act"], clock.seconds["learn"]
    total, steps, updates = act + learn, training.step - steps, training.updates - updates
    streams, transitions = (
        float(torch.stack([metrics[f"replay/{what}"] for metrics in replayed]).sum())
        for what in ("streams", "transitions")
    )
    return {
        "env": name,
        "method": label,
        "train_steps_per_s": steps / total,
        "sequences_per_s": streams / learn,
        "updates_per_s": updates / learn,
        "replay_ratio": transitions / steps,
        "env_share": timed.seconds / total,
        "act_share": (act - timed.seconds) / total,
        "learn_share": learn / total,
    }


def measure_env(name: str, seconds: float = 1.0) -> float:
    """Steps per second of the environment alone: random actions, whole episodes, resets included."""
    # Drawing takes long enough to be measured with few
    members = PIXEL_MEMBERS["fast"] if has_image(make(name, 1).single_observation_space) else ENV_MEMBERS
    env = make(name, members)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    # without the end action: a member that has ended would count as a fast step
    actions = random_actions(env.single_action_space, rng, env.horizon, members, without=env.end_action)
    env.reset()
    for action in actions:
        env.step(action)  # warm up
    steps, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        env.reset()
        for action in actions:
            steps += int(env.step(action)[4]["active"].sum())
    return steps / (time.perf_counter() - begin)


def measure_pixels(name: str, seconds: float) -> dict[str, Any]:
    """Steps per second of a family's own renderer and of MiniWorld, each on one core, in turns of a second.

    Random actions without the end, whole episodes, resets included. The median over the turns, as other processes on
    the machine disturb both alike. Returns env, env_steps_per_s, miniworld_steps_per_s and env_speedup_over_miniworld;
    the last two are None if MiniWorld cannot run here.
    """
    envs = {"fast": make(name, PIXEL_MEMBERS["fast"])}
    try:
        reference = find_family(name).reference_parameters or {}
        envs["miniworld"] = make(name, PIXEL_MEMBERS["miniworld"], **reference)
        envs["miniworld"].reset(seed=0)
    except UserError:
        envs.pop("miniworld", None)
    turns: dict[str, list[float]] = {backend: [] for backend in envs}
    rng = np.random.default_rng(0)
    for env in envs.values():
        play_whole_episodes(env, rng, 0.0)  # warm up
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds or not turns["fast"]:
        for backend, env in envs.items():
            turns[backend].append(play_whole_episodes(env, rng, 1.0))
    for env in envs.values():
        env.close()
    speed = {backend: float(np.median(each)) for backend, each in turns.items()}
    real = speed.get("miniworld")
    return {
        "env": name,
        "env_steps_per_s": speed["fast"],
        "miniworld_steps_per_s": real,
        "env_speedup_over_miniworld": speed["fast"] / real if real else None,
    }


def play_whole_episodes(env: MetaEnv, rng: np.random.Generator, seconds: float) -> float:
    """Steps per second of random actions without the one that ends an episode.

    Plays at least one episode, and whole episodes for this many seconds.
    """
    steps, begin = 0, time.perf_counter()
    while not steps or time.perf_counter() - begin < seconds:
        env.reset()
        for _ in range(env.horizon):
            actions = random_actions(env.single_action_space, rng, env.num_envs, without=env.end_action)
            steps += int(env.step(actions)[4]["active"].sum())
    return steps / (time.perf_counter() - begin)
