"""Every setting of a training run, with its type, range and default. No torch here, so that a bad value fails at once.

A range stands beside its field and holds wherever a value comes from: the command line, a label of `dream compare`,
config.yaml or Python. The defaults serve every family, apart from what a family changes on its
class (`MetaEnv.default_settings`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from dream.config.ranges import Range, Settings, kinds
from dream.errors import UserError

MOST_STEPS = 10**12
Share = Annotated[float, Range(0, 1)]
PositiveShare = Annotated[float, Range(0, 1, above=True)]


@dataclass(frozen=True)
class TrialConfig(Settings, section="trial"):
    """Episodes of a trial."""

    explore_episodes: Annotated[int, Range(0, 100)] = 1
    """k, exploration episodes of a trial; 0 for end-to-end policies only"""
    execute_episodes: Annotated[int, Range(1, 100)] = 1
    """n, execution episodes of a trial"""


@dataclass(frozen=True)
class BottleneckConfig(Settings, section="bottleneck"):
    """The code z and its information bottleneck."""

    z_dim: Annotated[int, Range(1, 4096)] = 32
    """dimensions of z"""
    noise_std: Annotated[float, Range(0, 100, above=True)] = 0.3
    """rho, standard deviation of F(z | mu) and of q(z | tau)"""
    init_scale: Annotated[float, Range(0, 1000, above=True)] = 0.25
    """initial scale of f's linear layer; with 1 the codes would start with norm 3"""
    rate_weight: Annotated[float, Range(0, 1000)] = 3e-4
    """lambda in the paper, weight of the rate |f|^2 / 2 (in nats) in the executor's loss; 0 for no penalty"""


@dataclass(frozen=True)
class NetworkConfig(Settings, section="network"):
    """Network sizes: the same for f, g, explorer and executor, and for end-to-end policies."""

    observation: str | None = None
    """module:Class of a torch module of your own that encodes observations, in place of the toolkit's"""
    instruction: Literal["sum", "query"] = "sum"
    """how a policy learns what z says about its instruction: added to the observation, whose features z scales and
    shifts; or compared with parts of z, for families where it asks for one of many things"""
    memory: Literal["lstm", "transformer"] = "lstm"
    """memory of an end-to-end policy; pairs use LSTMs"""
    width: Annotated[int, Range(1, 8192)] = 64
    """units of the feed-forward layers and of the transformer (for which it must be a multiple of 8)"""
    memory_size: Annotated[int, Range(1, 8192)] = 32
    """units of the LSTMs"""


@dataclass(frozen=True)
class ExplorerConfig(Settings, section="explorer"):
    """The exploration policy."""

    step_cost: Share = 0.015
    """c, cost of an exploration step, as a share of the information that g finds in explorations"""
    learner: Literal["q", "ppo"] = "q"
    """double Q(lambda) from replay (Discrete actions only), or recurrent PPO on fresh trials (any actions)"""
    entropy_weight: Annotated[float, Range(0, 100)] = 0.01
    """ppo: initial weight of the policy's entropy; it falls in proportion to `learning.learning_rate`"""
    gamma: Share = 0.95
    """discount factor of the exploration reward"""
    lambda_: Share = 0.9
    """lambda of Watkins's Q(lambda)"""
    epsilon_min: PositiveShare = 0.01
    """share of random actions of the greediest parallel env; the others are spaced geometrically up to 1"""
    random_fraction: Share = 0.25
    """share of training trials explored with random actions only"""
    min_explained: Annotated[float, Range(-1000, 1)] = 0.02
    """explore at random until g explains this share of the variance of f's codes: before that, stopping immediately
    maximises the reward; -1000 to never wait"""
    observation: str | None = None
    """module:Class that encodes the explorer's observations; by default it shares the encoder of g, except with ppo"""


@dataclass(frozen=True)
class ExecutorConfig(Settings, section="executor"):
    """The execution policy."""

    learner: Literal["q", "ppo"] = "q"
    """double Q(lambda) from replay (Discrete actions only), or recurrent PPO on fresh trials (any actions)"""
    entropy_weight: Annotated[float, Range(0, 100)] = 0.3
    """ppo: initial weight of the policy's entropy; it falls in proportion to `learning.learning_rate`"""
    context: Literal["id", "instruction"] = "id"
    """input of the method `contextual`: the problem and the instruction, or the instruction alone"""
    gamma: Share = 0.9
    """discount factor of the execution reward"""
    lambda_: Share = 0.9
    """lambda of Watkins's Q(lambda)"""
    action_gap: Annotated[float, Range(0, 0.99)] = 0.7
    """alpha of advantage learning, which widens the gap between the best action and the others; 0 switches it off"""
    epsilon_min: PositiveShare = 0.05
    """share of random actions of the greediest parallel env; the others are spaced geometrically up to 1"""
    priority_exponent: Annotated[float, Range(0, 10)] = 0.7
    """exponent of prioritised replay for the updates on z = f(problem); 0 samples uniformly"""
    hindsight_fraction: Share = 0.5
    """share of the episodes in the updates on z = f(problem) that are learned from as if the problem and instruction
    had been those that they were right for, where the family tells; 0 switches it off"""
    id_fraction: Share = 0.25
    """share of training trials executed on z = f(problem); the others are executed on z = g(exploration)"""
    empty_fraction: Share = 0.5
    """share of the trials executed on g that are executed on g of no exploration: the executor learns to doubt"""
    prefix_fraction: Share = 0.25
    """share of the trials executed on g that are executed on g of a random part of the exploration"""
    previous_action: Literal["hidden", "observed"] = "hidden"
    """whether the policy observes its own: who searches then turns on in the direction of before"""
    observation: str | None = None
    """module:Class that encodes the executor's observations, in place of network.observation"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.empty_fraction + self.prefix_fraction > 1:
            raise UserError(
                f"executor.empty_fraction is {self.empty_fraction:g} and executor.prefix_fraction "
                f"{self.prefix_fraction:g}: give at most 1 together, the rest is executed on whole explorations"
            )


@dataclass(frozen=True)
class EndToEndConfig(Settings, section="end_to_end"):
    """Policies with one memory for the whole trial: rl2, e-rl2, import, varibad.

    They also use `executor.gamma`, `executor.lambda_`, the `epsilon_min` of both phases and `explorer.random_fraction`.
    """

    learner: Literal["q", "ppo"] = "q"
    """double Q(lambda) from replay (Discrete actions only), or recurrent PPO on fresh trials (any actions)"""
    entropy_weight: Annotated[float, Range(0, 100)] = 0.3
    """ppo: initial weight of the policy's entropy; it falls in proportion to `learning.learning_rate`"""
    explore_gamma: Share = 0.99
    """discount factor of an exploration step"""
    action_gap: Annotated[float, Range(0, 0.99)] = 0.0
    """alpha of advantage learning"""
    priority_exponent: Annotated[float, Range(0, 10)] = 0.0
    """exponent of prioritised replay; with 0.7 e-rl2 reaches the goal sooner on bus, but then stops improving"""
    id_fraction: Share = 0.5
    """import: share of training trials played on f(problem); with 1 the memory learns nothing, a diagnosis"""
    import_weight: Annotated[float, Range(0, 10**9)] = 0.1
    """import: beta, weight of the distance between memory and problem embedding"""
    kl_weight: Annotated[float, Range(0, 10**9)] = 0.1
    """varibad: weight of the KL term in the ELBO"""
    elbo_weight: Annotated[float, Range(0, 10**9)] = 1.0
    """varibad: weight of the negative ELBO in the loss; it matters with `end_to_end.belief_learns_from=both`"""
    belief_learns_from: Literal["elbo", "both"] = "elbo"
    """varibad: what trains the belief, the ELBO or also the policy's loss (`rlloss_through_encoder` in its code)"""
    elbo_prefixes: Annotated[int, Range(1, 1000)] = 4
    """varibad: prefixes of each trial from whose belief the whole trial is decoded"""


@dataclass(frozen=True)
class LearningConfig(Settings, section="learning"):
    """Optimisation and replay."""

    num_envs: Annotated[int, Range(2, 100_000)] = 128
    """parallel envs: trials collected in each round"""
    updates_per_round: Annotated[int, Range(1, 100_000)] = 8
    """updates after each round"""
    explore_batch_size: Annotated[int, Range(4, 100_000)] = 64
    """explorations in an update of g and of the explorer"""
    transition_batch_size: Annotated[int, Range(0, 1_000_000)] = 192
    """single transitions in an update of g's features, an auxiliary loss; 0 switches it off"""
    single_until: Share = 0.0
    """until g explains this share of the variance of f's codes, its first layers learn from single transitions alone;
    0: from whole explorations too, from the beginning"""
    execute_batch_size: Annotated[int, Range(4, 100_000)] = 64
    """trials in an update of the executor on z = f(problem); as many are added on z = g(exploration)"""
    repeat_action: Share = 0.0
    """probability that a random Discrete action is the one before: random walks go further (arXiv 2006.01782)"""
    learning_rate: PositiveShare = 2e-3
    """initial learning rate of AdamW"""
    final_learning_rate: Share = 2e-4
    """final learning rate; linear in between"""
    weight_decay: Annotated[float, Range(0, 100)] = 0.3
    """decoupled weight decay of AdamW: for generalisation from training problems to others"""
    max_grad_norm: Annotated[float, Range(0, 10**9, above=True)] = 1.0
    """gradients are clipped to this norm, each network on its own"""
    tau: PositiveShare = 0.05
    """rate of the averaged (target) networks, which are also the ones evaluated"""
    buffer_size: Annotated[int, Range(1, 10_000_000)] = 10_000
    """trials in the replay buffer; at least num_envs"""
    learning_starts: Annotated[int, Range(0, 10_000_000)] = 512
    """trials collected before the first update; at most buffer_size"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.buffer_size < self.num_envs:
            raise UserError(
                f"learning.buffer_size is {self.buffer_size:,}: the replay buffer must hold a round of trials, so give "
                f"at least learning.num_envs = {self.num_envs:,}"
            )
        if self.learning_starts > self.buffer_size:
            raise UserError(
                f"learning.learning_starts is {self.learning_starts:,}: the replay buffer never holds as many trials, "
                f"so give at most learning.buffer_size = {self.buffer_size:,}"
            )

    def learning_rate_at(self, progress: float) -> float:
        """The learning rate after this share of the training steps: linear from the initial to the final one."""
        first, final = self.learning_rate, self.final_learning_rate
        return first + (final - first) * min(1.0, progress)

    def share_at(self, progress: float) -> float:
        """The learning rate after this share of the training steps, as a share of the initial one."""
        return self.learning_rate_at(progress) / self.learning_rate


@dataclass(frozen=True)
class PPOConfig(Settings, section="ppo"):
    """Proximal policy optimisation, for policies whose `learner` is ppo; discounts are those of the policy."""

    epochs: Annotated[int, Range(1, 100)] = 4
    """passes over the trials of a round"""
    minibatches: Annotated[int, Range(1, 1000)] = 4
    """parts of a pass, a gradient step each"""
    clip_range: Annotated[float, Range(0, 10, above=True)] = 0.2
    """epsilon, range of the probability ratio around 1"""
    gae_lambda: Share = 0.95
    """lambda of generalised advantage estimation"""
    value_weight: Annotated[float, Range(0, 100)] = 0.5
    """weight of the squared error of the values"""
    learning_rate: PositiveShare = 1e-3
    """initial learning rate; it falls in proportion to `learning.learning_rate`"""


@dataclass(frozen=True)
class EvaluationConfig(Settings, section="evaluation"):
    """Validation during training, and checkpoints."""

    every: Annotated[int, Range(1, MOST_STEPS)] = 100_000
    """environment steps between validations"""
    trials: Annotated[int, Range(1, 1_000_000)] = 500
    """validation trials"""
    checkpoint_every: Annotated[int, Range(1, MOST_STEPS)] = 100_000
    """environment steps between checkpoints"""
    stop_at: Annotated[float | None, Range(-1_000, 1)] = None
    """stop at the first validation with this normalised score, such as 0.99 (schedules still follow `steps`)"""
    show_every: Annotated[int, Range(0, MOST_STEPS)] = 500_000
    """environment steps between pictures of validation trials in TensorBoard; 0 for none (changes no result)"""


@dataclass(frozen=True)
class TrainConfig(Settings):
    """One training run: a method, a family and a seed."""

    method: str = "dream"
    """method to train: see `dream methods`"""
    env: str = "map"
    """problem family: see `dream envs`"""
    seed: Annotated[int, Range(0, 2**32 - 1)] = 0
    """random seed"""
    steps: Annotated[int, Range(1, MOST_STEPS)] = 1_500_000
    """environment steps, exploration included; the default depends on the family"""
    device: str = "cpu"
    """torch device, such as cpu or cuda:0"""
    threads: Annotated[int, Range(1, 1024)] = 1
    """CPU threads; results are reproducible for the same number only"""
    env_parameters: Mapping[str, Any] = field(default_factory=dict)
    """parameters of the family, such as grid_size=5: see `dream envs FAMILY`"""
    trial: TrialConfig = field(default_factory=TrialConfig)
    bottleneck: BottleneckConfig = field(default_factory=BottleneckConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    explorer: ExplorerConfig = field(default_factory=ExplorerConfig)
    executor: ExecutorConfig = field(default_factory=ExecutorConfig)
    end_to_end: EndToEndConfig = field(default_factory=EndToEndConfig)
    learning: LearningConfig = field(default_factory=LearningConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.network.memory == "transformer" and self.network.width % 8:
            raise UserError(
                f"network.width is {self.network.width}: a transformer has 4 heads and needs a multiple of 8"
            )

    def as_dict(self) -> dict[str, Any]:
        """Nested plain data, as written to config.yaml."""
        return dataclasses.asdict(self)


SECTIONS: Mapping[str, type[Settings]] = {
    name: kind for name, kind in kinds(TrainConfig).items() if isinstance(kind, type) and issubclass(kind, Settings)
}
"""Name of each group of settings -> its dataclass."""

SETTINGS: tuple[str, ...] = (
    *(name for name in kinds(TrainConfig) if name not in SECTIONS),
    *(f"{section}.{name}" for section, kind in SECTIONS.items() for name in kinds(kind)),
)
"""The dotted names of all settings."""

WITHOUT_EFFECT = ("evaluation.show_every",)
"""Settings that change nothing of what is learned or measured: a run may be resumed with others."""
