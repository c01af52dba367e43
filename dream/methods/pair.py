"""A decoupled pair: an explorer and an executor that meet only in z.

One class for every explorer: what differs between methods is how the explorer acts (learned, at random, not at all)
and what it is paid for. Nothing here knows a family; problem ids are read in training only.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from dream.config import TrainConfig
from dream.core.acting import member_epsilons
from dream.core.bottleneck import encoder_loss, last_prefix, nats, prefix_error, rate
from dream.core.networks import load_named_weights, named_weights, update_average
from dream.core.optimizer import adamw, gradient_step
from dream.core.replay import TrialReplay
from dream.core.trial import Episodes, Trials, concatenate
from dream.errors import UserError
from dream.execution.executor import executor_loss
from dream.exploration.base import Belief, ExplorationReward, RewardModel
from dream.exploration.learned import explorer_loss
from dream.methods.pair_acting import ExploreRule, Networks, PairActing

Context = Literal["decoded", "id", "instruction"]


@dataclass(frozen=True)
class PairRules:
    """What makes one decoupled method differ from another."""

    explore: ExploreRule = "learned"
    reward: Callable[[Any, TrainConfig], ExplorationReward] | None = None
    """What a learned explorer is paid, made for an environment."""
    pays_information: bool = False
    """The reward is the fall of g's error. It means nothing before g has begun, so the explorer waits for that; and it
    is measured against the information there is to find."""
    pays_outcome: bool = False
    """The reward depends on the execution, so it is learned from trials that were executed on g(exploration)."""
    context: Context = "decoded"
    """What the executor is given at test time: z = g(exploration), or f(problem), or nothing but its instruction. With
    the id it is an upper bound, not a meta-RL method."""
    bottleneck: bool = True
    """Whether f(problem) is noisy and pays for its rate while training."""


class DecoupledPair:
    """An explorer, an executor and the two encoders between them (arXiv 2008.02790, algorithm 1)."""

    def __init__(self, env: Any, config: TrainConfig, rules: PairRules):
        self.config, self.rules = config, rules
        self.device = torch.device(config.device)
        self.networks = Networks(env, config, rules.explore).to(self.device)
        self.acting = PairActing(env, config, rules.explore)
        self.averaged = copy.deepcopy(self.networks).requires_grad_(False)
        self.reward = rules.reward(env, config) if rules.reward is not None else None
        if isinstance(self.reward, RewardModel):
            self.reward.to(self.device)
        self.reward_scale = torch.zeros((), device=self.device)
        self.explained = torch.zeros((), device=self.device)
        self._factor_table = torch.from_numpy(env.problems.factor_table).to(self.device)
        self._executes_on_g = rules.context == "decoded" and config.executor.id_fraction < 1
        self._noise = config.bottleneck.noise_std if rules.bottleneck else 0.0
        self._groups = [
            [*self.networks.f.parameters(), *self.networks.executor.parameters()],
            list(self.networks.g.parameters()),
        ]
        for explores in (self.networks.explorer, self.networks.posterior):
            if explores is not None:
                self._groups.append(list(explores.parameters()))
        decayed = [parameter for group in self._groups for parameter in group]
        learned: list[nn.Parameter] = []
        if isinstance(self.reward, RewardModel):
            learned = [parameter for parameter in self.reward.parameters() if parameter.requires_grad]
        if learned:
            self._groups.append(learned)
        self.optimizer = adamw(
            decayed, learned, learning_rate=config.learning.learning_rate, weight_decay=config.learning.weight_decay
        )

    # ---- acting -------------------------------------------------------------------------------------------------

    def collect(self, env: Any, problem_id: np.ndarray, generator: torch.Generator) -> Trials:
        """Training trials of B problems: each member has its share of random actions, some execute on f(problem).

        Args:
            env: of B members.
            problem_id: (B,) ints.
            generator: draws random actions.
        """
        members, cfg = len(problem_id), self.config
        explorer_open = not self.rules.pays_information or bool(self.explained > cfg.explorer.min_explained)
        order = torch.randperm(members, generator=generator)
        explore_epsilon = member_epsilons(members, cfg.explorer.epsilon_min)
        explore_epsilon[: round(members * (cfg.explorer.random_fraction if explorer_open else 1.0))] = 1.0
        execute_epsilon = member_epsilons(members, cfg.executor.epsilon_min)[order]
        on_id = round(cfg.executor.id_fraction * members) if self._executes_on_g else members
        used_id = (torch.randperm(members, generator=generator) < on_id).to(self.device)
        explore = self.acting.explore(env, problem_id, self.networks, explore_epsilon, generator, may_stop=False)
        trials = self._execute(env, problem_id, explore, self.networks, execute_epsilon, used_id, generator)
        if isinstance(self.reward, RewardModel):
            self.reward.observe(trials)
        return trials

    def play(self, env: Any, problem_id: np.ndarray, generator: torch.Generator | None = None) -> Trials:
        """Greedy test trials with the averaged networks. z = g(exploration): the ids choose the problems, nothing else.

        Args:
            generator: draws the actions of a random explorer, or what posterior sampling samples; unused otherwise.
        """
        explore = self.explore(env, problem_id, generator)
        return self.execute(env, problem_id, explore, generator)

    def explore(self, env: Any, problem_id: np.ndarray, generator: torch.Generator | None = None) -> Episodes:
        """The explorations of `play` alone."""
        zero = torch.zeros(len(problem_id))
        return self.acting.explore(env, problem_id, self.averaged, zero, generator, may_stop=True)

    def execute(
        self, env: Any, problem_id: np.ndarray, explore: Episodes, generator: torch.Generator | None = None
    ) -> Trials:
        """The executions of `play` after explorations (of B streams) that anyone may have made."""
        used_id = torch.full((len(problem_id),), self.rules.context != "decoded", device=self.device)
        zero = torch.zeros(len(problem_id))
        return self._execute(env, problem_id, explore, self.averaged, zero, used_id, generator)

    def _execute(
        self,
        env: Any,
        problem_id: np.ndarray,
        explore: Episodes,
        networks: Networks,
        epsilon: Tensor,
        used_id: Tensor,
        generator: torch.Generator | None,
    ) -> Trials:
        ids = torch.from_numpy(problem_id).to(self.device)
        z = self._given(ids, explore, networks, used_id)
        execute = self.acting.execute(env, problem_id, networks, z, epsilon, generator)
        return Trials(ids, explore, execute, used_id)

    @torch.no_grad()
    def _given(self, problem_id: Tensor, explore: Episodes, networks: Networks, used_id: Tensor) -> Tensor:
        """What the executor is given in each trial, (B, Z): f(problem) where `used_id`, else g(exploration)."""
        z = torch.zeros(len(problem_id), self.config.bottleneck.z_dim, device=self.device)
        informed, uninformed = used_id.nonzero()[:, 0], (~used_id).nonzero()[:, 0]
        if len(informed) and self.rules.context != "instruction":
            z.index_copy_(0, informed, networks.f(self._factors(problem_id.index_select(0, informed))))
        if len(uninformed):
            decoded = explore.select(uninformed).trimmed()
            z.index_copy_(0, uninformed, last_prefix(networks.g(decoded), decoded))
        return z

    # ---- learning -----------------------------------------------------------------------------------------------

    def update(self, replay: TrialReplay, progress: float, generator: torch.Generator) -> dict[str, Tensor]:
        """One gradient step of every network on replayed trials; metrics stay on the device.

        Args:
            replay: at least one trial.
            progress: share of the training steps that is done; the step size falls with it.
            generator: draws the noise of the bottleneck.
        """
        learning = self.config.learning
        if self.rules.pays_outcome and replay.holds_decoded:
            drawn = replay.sample_decoded(learning.explore_batch_size, "explore")
        else:
            drawn = replay.sample(learning.explore_batch_size, "explore")
        loss, metrics = self._explore_loss(drawn, progress)
        if learning.transition_batch_size and self.rules.explore != "none":
            single_loss = self._single_loss(*replay.sample_transitions(learning.transition_batch_size))
            loss = loss + single_loss
            metrics["loss/single"] = single_loss.detach()
        execute_loss, execute_metrics = self._execute_loss(replay, generator)
        gradient_step(
            self.optimizer,
            loss + execute_loss,
            self._groups,
            learning_rate=learning.learning_rate_at(progress),
            clip=learning.max_grad_norm,
        )
        update_average(self.averaged, self.networks, learning.tau)
        metrics["replay/transitions"] = metrics["replay/transitions"] + execute_metrics.pop("replay/transitions")
        metrics["replay/streams"] = metrics["replay/streams"] + execute_metrics.pop("replay/streams")
        return metrics | execute_metrics

    def _explore_loss(self, trials: Trials, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """What g and the explorer learn from: f's codes are given here, not learned."""
        cfg, net, average = self.config, self.networks, self.averaged
        noise, explore = cfg.bottleneck.noise_std, trials.explore
        with torch.no_grad():
            code = net.f(self._factors(trials.problem_id))
        seen = net.g.see(explore)
        features = net.g.transitions(explore, seen)
        prefixes = net.g.read(features)
        error = prefix_error(code, prefixes, noise)
        loss = g_loss = encoder_loss(error, explore) * noise**2  # nats are large; Adam needs only a direction
        belief = Belief(code, prefixes.detach(), error.detach(), progress)
        first, final = belief.error[:, 0], last_prefix(belief.error[..., None], explore)[:, 0]
        metrics = {
            "loss/encoder": g_loss.detach(),
            "explore/error_first": first.mean(),
            "explore/error_final": final.mean(),
            "explore/information": (first - final).mean(),
            "explore/explained": self._explained(code, final),
            "explore/length": explore.transition.sum(1).float().mean(),
            "replay/streams": torch.tensor(float(len(code))),
            "replay/transitions": explore.transition.sum().float(),
        }
        if net.posterior is not None:
            posterior_loss = net.posterior.loss(code, features.detach(), explore)
            loss = loss + posterior_loss
            metrics["loss/posterior"] = posterior_loss.detach()
        if net.explorer is not None:
            assert average.explorer is not None and self.reward is not None
            paid = self.reward(trials, belief)
            if isinstance(paid, tuple):
                reward, reward_loss = paid
                loss = loss + reward_loss
                metrics["loss/reward"] = reward_loss.detach()
            else:
                reward = paid
            if reward.shape != explore.mask.shape:
                raise UserError(
                    f"the exploration reward of {cfg.method} is of shape {tuple(reward.shape)}: it must return one "
                    f"number for each exploration step, {tuple(explore.mask.shape)}"
                )
            reward = reward.masked_fill(~explore.mask, 0.0)
            explore_loss, value = explorer_loss(
                net.explorer,
                average.explorer,
                explore,
                seen,
                reward / self._scale(first if self.rules.pays_information else reward.abs().sum(1)),
                gamma=cfg.explorer.gamma,
                trace=cfg.explorer.lambda_,
            )
            loss = loss + explore_loss
            metrics |= {
                "loss/explorer": explore_loss.detach(),
                "explore/value": value * self.reward_scale,
                "explore/return": reward.sum(1).mean(),
            }
        return loss, metrics

    def _single_loss(self, problem_id: Tensor, transition: Episodes) -> Tensor:
        """g's features: the squared error of what single transitions tell about z."""
        with torch.no_grad():
            code = self.networks.f(self._factors(problem_id))
        return 0.5 * (self.networks.g.from_single(transition)[:, 0] - code).square().sum(-1).mean()

    def _execute_loss(self, replay: TrialReplay, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """What the executor and f learn from.

        f(problem) says all there is to know, so every episode can teach the executor what to do on it, and the
        surprising ones are replayed more often. g(exploration) does not: an informed executor's actions tell which
        problem it is in, and trained on them (or on successes) an uninformed z would believe that whatever bus it
        takes is the right one. So what is learned on g(exploration) was executed on it, and is drawn evenly.
        """
        cfg, net, average = self.config, self.networks, self.averaged
        batch = cfg.learning.execute_batch_size
        informed, rows = replay.sample_by_priority(batch, cfg.executor.priority_exponent, "execute")
        n = informed.execute_episodes
        factors = self._factors(informed.problem_id)
        code, average_code = net.f(factors), average.f(factors)
        if self.rules.context == "instruction":
            code, average_code = torch.zeros_like(code), torch.zeros_like(code)
        jitter = self._noise * torch.randn(code.shape, generator=generator).to(self.device)
        execute, z, target_z = informed.execute, code + jitter, average_code + jitter
        if self._executes_on_g and replay.holds_decoded:
            decoded = replay.sample_decoded(batch // 2)
            with torch.no_grad():
                g_z = last_prefix(net.g(decoded.explore), decoded.explore)
            execute = concatenate(execute, decoded.execute)
            z, target_z = torch.cat([z, g_z]), torch.cat([target_z, g_z])
        loss, surprise, value = executor_loss(
            net.executor,
            average.executor,
            execute,
            z.repeat_interleave(n, 0),
            target_z.detach().repeat_interleave(n, 0),
            gamma=cfg.executor.gamma,
            trace=cfg.executor.lambda_,
        )
        replay.set_priority(rows, surprise[: batch * n].view(batch, n).amax(1))
        rates = rate(code)
        metrics = {
            "loss/executor": loss.detach(),
            "execute/value": value,
            "bottleneck/rate": rates.detach().mean(),
            "bottleneck/spread": code.detach().var(0).sum().sqrt(),
            "replay/streams": torch.tensor(float(len(execute.mask))),
            "replay/transitions": execute.mask.sum().float(),
        }
        return loss + (cfg.bottleneck.rate_weight if self.rules.bottleneck else 0.0) * rates.mean(), metrics

    def _scale(self, total: Tensor) -> Tensor:
        """Running mean of what there is to earn, (N,) -> (), so that the explorer's values are of order one.

        A batch that pays nothing at all changes nothing. For outcomes it never falls: they are in the task's own units,
        and where every execution goes as expected the noise that is left must stay small.
        """
        now, before = total.mean(), self.reward_scale
        after = torch.where(before > 0, before.lerp(now, 0.01), now)
        if self.rules.pays_outcome:
            after = torch.maximum(before, after)
        self.reward_scale = torch.where(now > 0, after, before)
        return self.reward_scale.clamp(min=1e-6)

    def _explained(self, code: Tensor, final: Tensor) -> Tensor:
        """Running share of the spread of f's codes that g explains after whole explorations (an R^2)."""
        spread = nats(code.var(0).sum(), self.config.bottleneck.noise_std)
        self.explained = self.explained.lerp(1.0 - final.mean() / spread.clamp(min=1e-6), 0.02)
        return self.explained

    def _factors(self, problem_id: Tensor) -> Tensor:
        return self._factor_table.index_select(0, problem_id)

    # ---- state --------------------------------------------------------------------------------------------------

    def weights(self) -> dict[str, Tensor]:
        """Weights of the networks (`online.*`), of their averages (`averaged.*`) and of a reward that learns."""
        return named_weights(self._modules())

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Restore what `weights` gave. Raises RuntimeError where shapes or names differ."""
        load_named_weights(self._modules(), weights)

    def _modules(self) -> dict[str, nn.Module]:
        modules: dict[str, nn.Module] = {"online": self.networks, "averaged": self.averaged}
        return modules | {"reward": self.reward} if isinstance(self.reward, RewardModel) else modules

    def state_dict(self) -> dict[str, Any]:
        """What training needs besides the weights."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "reward_scale": self.reward_scale,
            "explained": self.explained,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.reward_scale = state["reward_scale"].to(self.device)
        self.explained = state["explained"].to(self.device)
