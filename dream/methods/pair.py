"""A decoupled pair: an explorer and an executor that share nothing but z.

One class serves every explorer: methods differ in how the explorer acts (learned, at random, not at all) and in what it
is rewarded for. Nothing here depends on a family; problem ids are read in training only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dream.config import TrainConfig
from dream.core.acting import training_epsilons
from dream.core.actions import Actions
from dream.core.environment import Environment
from dream.core.replay import TrialReplay
from dream.core.trial import Episodes, Fresh, Trials, all_steps
from dream.methods.learned import LearnedMethod
from dream.methods.pair_acting import PairActing
from dream.methods.pair_losses import Metrics, PairLosses
from dream.methods.pair_networks import PairNetworks
from dream.methods.pair_on_policy import PairOnPolicy
from dream.methods.rules import Context, PairRules


class DecoupledPair(LearnedMethod[PairNetworks]):
    """An explorer, an executor and the two encoders between them (arXiv 2008.02790, algorithm 1).

    Args:
        env: of the family.
        config: of the run.
        rules: of the method.
    """

    def __init__(self, env: Environment, config: TrainConfig, rules: PairRules):
        super().__init__(env, config, PairNetworks(env, config, rules.explore))
        self.rules = rules
        self.acting = PairActing(env, config, rules.explore)
        self.reward = rules.reward(env, config).to(self.device) if rules.reward is not None else None
        self.losses = PairLosses(self.networks, self.averaged, self.reward, self.factors, config, rules)
        self.on_policy = PairOnPolicy(self.losses, Actions(env.single_action_space))
        net = self.networks
        learned: list[nn.Parameter] = []
        if self.reward is not None:
            learned = [parameter for parameter in self.reward.parameters() if parameter.requires_grad]
        groups = {
            "executor": [*net.f.parameters(), *net.executor.parameters()],
            "g": list(net.g.parameters()),
            "explorer": [] if net.explorer is None else list(net.explorer.parameters()),
            "posterior": [] if net.posterior is None else list(net.posterior.parameters()),
        }
        ppo = [name for name in ("executor", "explorer") if getattr(config, name).learner == "ppo"]
        self._optimize(
            [group for name, group in groups.items() if name not in ppo],
            undecayed=learned,
            on_policy=[groups[name] for name in ppo],
        )

    @property
    def pair(self) -> PairNetworks:
        """The averaged networks."""
        return self.averaged

    @property
    def context(self) -> Context:
        """What the executor acts on at test time."""
        return self.rules.context

    def modules(self) -> dict[str, nn.Module]:
        """Online and averaged networks, and those of the exploration reward."""
        return super().modules() | ({"reward": self.reward} if self.reward is not None else {})

    # ---- acting -------------------------------------------------------------------------------------------------

    def collect(self, env: Environment, problem_id: np.ndarray, generator: torch.Generator) -> Trials:
        """Training trials of B problems: each member has its share of random actions, some execute on f(problem).

        Args:
            env: of B members.
            problem_id: (B,) ints.
            generator: draws random actions.
        """
        members, cfg = len(problem_id), self.config
        explorer_acts = not self.rules.rewards_information or bool(self.losses.explained > cfg.explorer.min_explained)
        self.losses.note_beginning()
        order = torch.randperm(members, generator=generator)
        explore_epsilon = torch.ones(members)
        if explorer_acts:
            explorer = cfg.explorer
            explore_epsilon = training_epsilons(
                members, explorer.learner, explorer.epsilon_min, explorer.random_fraction
            )
        execute_epsilon = training_epsilons(members, cfg.executor.learner, cfg.executor.epsilon_min)[order]
        on_id = round(cfg.executor.id_fraction * members) if self.losses.executes_on_g else members
        place = torch.randperm(members, generator=generator)
        explore = self.acting.explore(env, problem_id, self.networks, explore_epsilon, generator, may_stop=False)
        steps = self._decoded_steps(place, on_id, explore, generator)
        code_noise, sample_noise = None, None
        if cfg.executor.learner == "ppo":  # on-policy: the executor acts on the z that it learns on
            code_noise = self.losses.noise * self._normal(members, generator)
        if self.rules.explore == "posterior":
            sample_noise = self._normal(members, generator)
        trials = self._execute(
            env,
            problem_id,
            explore,
            self.networks,
            execute_epsilon,
            steps,
            generator,
            code_noise,
            sample_noise,
            in_hindsight=cfg.executor.learner == "q" and cfg.executor.hindsight_fraction > 0,
        )
        self._observe(trials)
        if self.reward is not None:
            self.reward.observe(trials)
        assert trials.fresh is not None
        return dataclasses.replace(trials, fresh=dataclasses.replace(trials.fresh, explored=explorer_acts))

    def skip_warmup(self) -> None:
        """Let the explorer act in the next `collect`, as after g has learned to explain f's codes."""
        self.losses.explained.fill_(1.0)

    def play(self, env: Environment, problem_id: np.ndarray, generator: torch.Generator | None = None) -> Trials:
        """Greedy test trials with the averaged networks on z = g(exploration). The ids only select the problems.

        Args:
            env: of B members.
            problem_id: (B,) ints.
            generator: draws the actions of a random explorer, or what posterior sampling samples; else unused.
        """
        explore = self.explore(env, problem_id, generator)
        return self.execute(env, problem_id, explore, generator)

    def explore(self, env: Environment, problem_id: np.ndarray, generator: torch.Generator | None = None) -> Episodes:
        """The explorations of `play` alone, B streams."""
        zero = torch.zeros(len(problem_id))
        return self.acting.explore(env, problem_id, self.averaged, zero, generator, may_stop=True)

    def execute(
        self, env: Environment, problem_id: np.ndarray, explore: Episodes, generator: torch.Generator | None = None
    ) -> Trials:
        """The executions of `play` after given explorations (B streams), of this method or another."""
        used_id = torch.full((len(problem_id),), self.rules.context != "decoded", device=self.device)
        zero = torch.zeros(len(problem_id))
        return self._execute(env, problem_id, explore, self.averaged, zero, all_steps(explore, used_id), generator)

    def _decoded_steps(self, place: Tensor, on_id: int, explore: Episodes, generator: torch.Generator) -> Tensor:
        """`Trials.decoded_steps` of training trials (B,): f(problem), or g of nothing, of a part or of all.

        An executor that only ever acted on g of whole explorations does not know how to act when z says little.

        Args:
            place: (B,) a random order of the trials; the first `on_id` execute on f(problem).
            on_id: how many.
            explore: the explorations.
            generator: draws the lengths of the parts, uniform from 0 to all.
        """
        executor, members, length = self.config.executor, len(place), explore.length
        on_g = members - on_id
        least = min(on_g, int(executor.empty_fraction + executor.prefix_fraction < 1))  # on whole explorations
        nothing = min(round(executor.empty_fraction * on_g), on_g - least)
        part = min(round(executor.prefix_fraction * on_g), on_g - least - nothing)
        place = place.to(self.device)
        steps = length
        if part:
            drawn = torch.rand(members, generator=generator).to(self.device)
            steps = torch.where(place < on_id + nothing + part, (drawn * (length + 1)).long(), steps)
        steps = torch.where(place < on_id + nothing, 0, steps)
        return torch.where(place < on_id, -1, steps)

    def _execute(
        self,
        env: Environment,
        problem_id: np.ndarray,
        explore: Episodes,
        networks: PairNetworks,
        epsilon: Tensor,
        steps: Tensor,
        generator: torch.Generator | None,
        code_noise: Tensor | None = None,
        sample_noise: Tensor | None = None,
        *,
        in_hindsight: bool = False,
    ) -> Trials:
        """Executions after given explorations, on what their first `steps` (B,) tell (`Trials.decoded_steps`).

        `code_noise` (B, Z) is added to z where it is f(problem); `sample_noise` is `Trials.noise`.
        """
        ids = torch.from_numpy(problem_id).to(self.device)
        z = self._z_given(ids, explore, networks, steps, sample_noise)
        if code_noise is not None:
            z = z + code_noise * (steps < 0)[:, None]
        execute, hindsight = self.acting.execute(
            env, problem_id, networks, z, epsilon, generator, in_hindsight=in_hindsight
        )
        return Trials(ids, explore, execute, steps, Fresh(explored=True, z=z), sample_noise, hindsight)

    def _normal(self, members: int, generator: torch.Generator) -> Tensor:
        """Standard normal numbers (members, Z)."""
        return torch.randn(members, self.config.bottleneck.z_dim, generator=generator).to(self.device)

    @torch.no_grad()
    def _z_given(
        self, problem_id: Tensor, explore: Episodes, networks: PairNetworks, steps: Tensor, noise: Tensor | None
    ) -> Tensor:
        """The executor's z in each trial, (B, Z): `decode` after t = `steps` (B,), or f(problem) where t is -1."""
        z = torch.zeros(len(problem_id), self.config.bottleneck.z_dim, device=self.device)
        on_id, on_g = (steps < 0).nonzero()[:, 0], (steps >= 0).nonzero()[:, 0]
        if len(on_id) and self.rules.context != "instruction":
            z.index_copy_(0, on_id, networks.f(self.factors(problem_id.index_select(0, on_id))))
        if len(on_g):
            decoded, noise = explore.select(on_g).trimmed(), None if noise is None else noise.index_select(0, on_g)
            z.index_copy_(0, on_g, networks.decode(decoded, steps.index_select(0, on_g), noise))
        return z

    # ---- learning -----------------------------------------------------------------------------------------------

    def update(self, replay: TrialReplay, progress: float, generator: torch.Generator) -> Metrics:
        """One gradient step of every network that learns from replayed trials; metrics stay on the device.

        Args:
            replay: with at least one trial.
            progress: share of the training steps that is done; the step size falls with it.
            generator: draws the noise of the bottleneck.
        """
        learning = self.config.learning
        # Explorations for g and the explorer; a reward of outcomes needs executions on g of the whole exploration
        if self.rules.rewards_outcome and replay.holds_whole:
            drawn = replay.sample_decoded(learning.explore_batch_size, "explore", whole=True)
        else:
            drawn = replay.sample(learning.explore_batch_size, "explore")
        loss, metrics = self.losses.explore(drawn, progress)
        # Single transitions for g's features
        if learning.transition_batch_size and self.rules.explore != "none":
            single_loss = self.losses.transitions(*replay.sample_transitions(learning.transition_batch_size))
            loss = loss + single_loss
            metrics["loss/single"] = single_loss.detach()
        # Executions for the executor and f, unless they learn on-policy
        if self.config.executor.learner == "q":
            execute_loss, execute_metrics = self.losses.execute(replay, generator)
            loss = loss + execute_loss
            for name in ("replay/transitions", "replay/streams"):
                metrics[name] = metrics[name] + execute_metrics.pop(name)
            metrics |= execute_metrics
        self._update(loss, progress)
        return metrics

    def update_on_policy(self, trials: Trials, progress: float, generator: torch.Generator) -> list[Metrics]:
        """Gradient steps of the policies that learn by `ppo`, on trials that were just collected.

        Args:
            trials: from `collect`.
            progress: share of the training steps that is done.
            generator: draws the parts of each pass.

        Returns:
            The metrics of each gradient step, on the device.
        """

        def step(loss: Tensor) -> None:
            self._update(loss, progress, on_policy=True)

        return list(self.on_policy.update(trials, progress, generator, step))

    # ---- state --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What training needs besides the weights: the optimizer and the running statistics of the losses."""
        losses = self.losses
        running = {"reward_scale": losses.reward_scale, "explained": losses.explained, "begun": losses.begun}
        return super().state_dict() | running

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        super().load_state_dict(state)
        self.losses.reward_scale = state["reward_scale"].to(self.device)
        self.losses.explained = state["explained"].to(self.device)
        self.losses.begun = bool(state["begun"])
