"""Every setting of a training run, typed. No torch here, so that a bad argument fails at once.

The defaults are one set for every family but for what `FAMILY_SETTINGS` names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dream.config.presets import override


@dataclass(frozen=True)
class TrialConfig:
    """What a trial is."""

    explore_episodes: int = 1
    """k, exploration episodes of a trial"""
    execute_episodes: int = 1
    """n, execution episodes of a trial"""


@dataclass(frozen=True)
class BottleneckConfig:
    """z, and how much of the problem it may keep."""

    z_dim: int = 32
    """dimensions of z"""
    noise_std: float = 0.3
    """rho, standard deviation of F(z | mu) and q(z | tau)"""
    init_scale: float = 0.25
    """scale of f's linear layer at the start: 1 would give codes of norm 3"""
    rate_weight: float = 3e-4
    """lambda, weight of the rate |f|^2 / 2 (nats) against the executor's loss"""


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes, the same for f, g, explorer and executor, and for whole-trial policies."""

    memory: Literal["lstm", "transformer"] = "lstm"
    """memory of a whole-trial policy; pairs have LSTMs"""
    width: int = 64
    """units of the feed-forward layers, and of a transformer"""
    memory_size: int = 32
    """units of the LSTMs"""


@dataclass(frozen=True)
class ExplorerConfig:
    """The exploration policy."""

    step_cost: float = 0.01
    """c, nats that a step of exploration costs"""
    gamma: float = 0.95
    """discount of the exploration reward"""
    lambda_: float = 0.9
    """lambda of Watkins's Q(lambda)"""
    epsilon_min: float = 0.01
    """random actions of the most greedy parallel member; the others spread geometrically up to 1"""
    random_fraction: float = 0.25
    """share of training trials explored at random from beginning to end"""
    min_explained: float = 0.02
    """explore at random until g explains this share of f's spread: before, stopping at once looks best"""


@dataclass(frozen=True)
class ExecutorConfig:
    """The execution policy."""

    context: Literal["id", "instruction"] = "id"
    """what the method `contextual` is told: the problem, or nothing but the instruction"""
    gamma: float = 0.9
    """discount of the execution reward"""
    lambda_: float = 0.9
    """lambda of Watkins's Q(lambda)"""
    epsilon_min: float = 0.05
    """random actions of the most greedy parallel member; the others spread geometrically up to 1"""
    priority_exponent: float = 0.7
    """exponent of prioritised replay, for what is learned on f(problem); 0 replays evenly"""
    id_fraction: float = 0.5
    """share of training trials executed on f(problem) instead of on g(exploration)"""


@dataclass(frozen=True)
class EndToEndConfig:
    """Policies that explore and execute with one memory: rl2, e-rl2, import, varibad.

    The rest of what they need they share with the pairs: `executor.gamma`, `executor.lambda_`, the epsilons of both
    phases, `explorer.random_fraction`.
    """

    explore_gamma: float = 0.99
    """discount of a step of the exploration phase"""
    priority_exponent: float = 0.0
    """exponent of prioritised replay; at 0.7 e-rl2 sooner walks to its goal on bus, but then learns no more"""
    import_weight: float = 0.1
    """import: beta, weight of the distance between memory and problem embedding"""
    kl_weight: float = 0.1
    """varibad: weight of the KL in the ELBO"""
    elbo_prefixes: int = 4
    """varibad: prefixes of each trial from whose belief the whole trial is decoded"""


@dataclass(frozen=True)
class LearningConfig:
    """Optimisation and replay."""

    num_envs: int = 128
    """trials run side by side in a round"""
    updates_per_round: int = 8
    """updates after each round"""
    explore_batch_size: int = 64
    """explorations in an update of g and the explorer"""
    transition_batch_size: int = 192
    """single transitions in an update that teach g's features what to look for; 0 leaves this out"""
    execute_batch_size: int = 64
    """trials in an update of the executor on f(problem); half as many more on g(exploration)"""
    learning_rate: float = 2e-3
    """AdamW's step size at the start"""
    final_learning_rate: float = 2e-4
    """AdamW's step size at the end (linear in between)"""
    weight_decay: float = 0.3
    """AdamW's decoupled decay: what was learned on training problems carries over to others"""
    max_grad_norm: float = 1.0
    """largest gradient norm of each network"""
    tau: float = 0.05
    """rate of the averaged networks, which give the targets and are what is evaluated"""
    buffer_size: int = 10_000
    """trials kept for replay"""
    learning_starts: int = 512
    """trials before the first update"""

    def learning_rate_at(self, progress: float) -> float:
        """The step size when this share of the training steps is done: linear from the first to the final one."""
        first, final = self.learning_rate, self.final_learning_rate
        return first + (final - first) * min(1.0, progress)


@dataclass(frozen=True)
class EvaluationConfig:
    """Validation while training."""

    every: int = 100_000
    """environment steps between validations"""
    trials: int = 500
    """validation trials"""
    checkpoint_every: int = 100_000
    """environment steps between checkpoints"""
    stop_at: float | None = None
    """stop at the first validation with this normalised score, such as 0.99 (schedules still follow `steps`)"""
    show_every: int = 500_000
    """environment steps between pictures of validation trials for TensorBoard; 0 for none (changes no result)"""


@dataclass(frozen=True)
class TrainConfig:
    """One training run: a method on a family with a seed."""

    method: str = "dream"
    """method to train: see `dream methods`"""
    env: str = "map"
    """problem family: see `dream envs`"""
    seed: int = 0
    """seed of everything random"""
    steps: int = 1_500_000
    """environment steps, exploration counted; the default depends on the family"""
    device: str = "cpu"
    """torch device"""
    threads: int = 1
    """CPU threads; part of what must be the same for the same numbers"""
    env_parameters: Mapping[str, Any] = field(default_factory=dict)
    """parameters of the family, such as a grid size"""
    trial: TrialConfig = field(default_factory=TrialConfig)
    bottleneck: BottleneckConfig = field(default_factory=BottleneckConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    explorer: ExplorerConfig = field(default_factory=ExplorerConfig)
    executor: ExecutorConfig = field(default_factory=ExecutorConfig)
    end_to_end: EndToEndConfig = field(default_factory=EndToEndConfig)
    learning: LearningConfig = field(default_factory=LearningConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def as_dict(self) -> dict[str, Any]:
        """Nested plain data, as written to config.yaml."""
        return dataclasses.asdict(self)


WITHOUT_EFFECT = ("evaluation.show_every",)
"""Settings that change nothing of what is learned or measured: a run may be resumed with others."""

FAMILY_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "map": {"steps": 1_500_000},
    "bus": {"steps": 1_500_000},
    "cooking": {"steps": 3_000_000},
    "signpost": {"steps": 60_000},
    "sign": {
        "steps": 1_000_000,
        "learning.buffer_size": 6_000,  # 3.6 GB of frames
        "evaluation.checkpoint_every": 500_000,  # they go into every checkpoint
    },
}
"""What differs between families; all other settings serve every one of them (docs/learning.md, docs/sign.md)."""


def default_config(method: str, env: str, **changes: Any) -> TrainConfig:
    """The default settings for a method on a family, some top-level ones changed."""
    config = TrainConfig(method=method, env=env, steps=2_000_000)
    return dataclasses.replace(override(config, FAMILY_SETTINGS.get(env, {})), **changes)


def config_from_dict(values: Mapping[str, Any]) -> TrainConfig:
    """The configuration that `as_dict` wrote. Raises ValueError for an unknown setting or one of another type."""
    return _build(TrainConfig, values, "")


def _build(kind: Any, values: Mapping[str, Any], where: str) -> Any:
    given: dict[str, Any] = {}
    known = {item.name: item for item in dataclasses.fields(kind)}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"unknown setting {where + name!r}: this version knows {', '.join(known)}")
        default = _default(known[name])
        if dataclasses.is_dataclass(default):
            given[name] = _build(type(default), value, f"{where}{name}.")
        elif isinstance(value, (bool, int, float, str)) and not _same_kind(value, default):
            raise ValueError(f"setting {where + name!r} must be of type {type(default).__name__}, got {value!r}")
        else:
            given[name] = value
    return kind(**given)


def _default(item: dataclasses.Field[Any]) -> Any:
    return item.default_factory() if item.default_factory is not dataclasses.MISSING else item.default


def _same_kind(value: object, default: object) -> bool:
    if isinstance(default, float) or default is None:  # the one setting that may be None is a number
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is type(default)
