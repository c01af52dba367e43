"""Small methods, a few rounds of training them, and their test trials: for the tests of pairs and of policies."""

from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dream.config import TrainConfig, override
from dream.core.trial import Episodes, Trials
from dream.envs import MetaEnv, make
from dream.methods.build import build_method
from dream.training.rounds import Training
from dream.training.rounds import rounds as rounds_of

SMALL: dict[str, Any] = {
    "env": "signpost",
    "network.width": 16,
    "network.memory_size": 6,
    "bottleneck.z_dim": 4,
    "learning.num_envs": 12,
    "learning.explore_batch_size": 8,
    "learning.execute_batch_size": 8,
    "learning.buffer_size": 64,
    "learning.learning_starts": 12,
    "learning.transition_batch_size": 8,
    "learning.updates_per_round": 1,
}


def build(method: str = "dream", seed: int = 0, **changes: Any) -> tuple[Any, MetaEnv]:
    """A small method (a pair or a policy) and its environment; `changes` of `SMALL` with `__` for a dot."""
    dotted = {name.replace("__", "."): value for name, value in changes.items()}
    dotted.setdefault("learning.buffer_size", max(SMALL["learning.buffer_size"], dotted.get("learning.num_envs", 0)))
    config = override(TrainConfig(method=method, seed=seed), {**SMALL, **dotted})
    torch.manual_seed(seed)
    env = make(config.env, config.learning.num_envs)
    env.reset(seed=seed)
    return build_method(env, config), env


class Loop:
    """Some rounds of training, with the metrics of the last update."""

    def __init__(self, method: Any, env: MetaEnv, seed: int = 0):
        self.training = Training(method, env, seed)
        self.method, self.env, self.replay = method, env, self.training.replay
        self.generator, self.rng = self.training.generator, self.training.rng
        self.metrics: dict[str, Tensor] = {}

    def rounds(self, count: int) -> Trials:
        """Train for so many rounds; the trials of the last one."""
        for done in islice(rounds_of(self.training), count):
            self.metrics = done.updates[-1]
        return done.trials


def trained(method: str = "dream", rounds: int = 2, **changes: Any) -> Loop:
    """What `build` makes, after some rounds."""
    loop = Loop(*build(method, **changes))
    loop.rounds(rounds)
    return loop


def play(method: Any, env: Any, ids: np.ndarray) -> Trials:
    """Test trials, of the same seed each time."""
    env.reset(seed=5)
    return method.play(env, ids, torch.Generator().manual_seed(5))


def same(one: Trials, other: Trials) -> bool:
    """Bit for bit the same trials, but for the ids."""
    return all(
        torch.equal(getattr(getattr(one, part), name), getattr(getattr(other, part), name))
        for part in ("explore", "execute")
        for name in Episodes.__dataclass_fields__
    )


def gradients(module: nn.Module | None) -> bool:
    """Whether any gradient reached the module."""
    assert module is not None
    return any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in module.parameters())


class Relabelled:
    """The same problems under other ids: this changes policies that read the id, and no others."""

    def __init__(self, env: MetaEnv):
        self._env = env
        self._true_id = np.random.default_rng(0).permutation(env.problems.num_problems)
        self.problems = SimpleNamespace(  # posterior sampling draws instructions of training problems
            sample=lambda *arguments: self.labels(env.problems.sample(*arguments))
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def labels(self, true_id: np.ndarray) -> np.ndarray:
        return np.argsort(self._true_id)[true_id]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        options = dict(options or {})
        if "problem_id" in options:
            options["problem_id"] = self._true_id[options["problem_id"]]
        return self._env.reset(seed=seed, options=options)

    def sample_instruction(self, problem_id: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self._env.sample_instruction(self._true_id[problem_id], rng)
