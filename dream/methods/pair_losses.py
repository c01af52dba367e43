"""The losses of a decoupled pair, readable beside the paper (arXiv 2008.02790, section 4 and algorithm 1).

    g         max E[log q(z | tau_:t)] at every prefix, z = f(mu)
    explorer  max E[sum_t r_t], for DREAM r_t = log q(z | tau_:t+1) - log q(z | tau_:t) - c
    executor  max E[V(z; mu)] on z ~ F(z | mu), and on z = g(tau)
    f         the same on F(z | mu), minus lambda I(z; mu)

`PairLosses.explore` is the loss of the first two, `PairLosses.execute` of the last two, on replayed trials. Policies
that learn by `ppo` learn from the same rewards on fresh trials instead: `dream.methods.pair_on_policy`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import reduce, repeat
from torch import Tensor

from dream.config import TrainConfig
from dream.core.bottleneck import encoder_loss, last_prefix, nats, prefix_error, rate
from dream.core.qlearning import q_policy_loss
from dream.core.replay import TrialReplay
from dream.core.trial import Episodes, Trials, concatenate
from dream.errors import UserError
from dream.execution.executor import executor_decisions
from dream.exploration.base import Belief, ExplorationReward
from dream.exploration.learned import explorer_decisions
from dream.methods.pair_networks import PairNetworks
from dream.methods.rules import PairRules

Metrics = dict[str, Tensor]


class PairLosses:
    """The losses of a pair and the running statistics that they need.

    Args:
        networks: that learn.
        averaged: their averages, which give the targets.
        reward: of a learned explorer.
        factors: problem ids (N,) -> their factors (N, F).
        config: of the run.
        rules: of the method.

    Attributes:
        reward_scale: () running mean of the total reward of an exploration.
        noise: standard deviation of z around f(mu) in training.
        rate_weight: lambda.
        explained: () running share of the variance of f's codes that g explains after whole explorations (an R^2).
        begun: whether `explained` has once reached `learning.single_until`.
    """

    def __init__(
        self,
        networks: PairNetworks,
        averaged: PairNetworks,
        reward: ExplorationReward | None,
        factors: Callable[[Tensor], Tensor],
        config: TrainConfig,
        rules: PairRules,
    ):
        self.networks, self.averaged, self.reward, self.factors = networks, averaged, reward, factors
        self.config, self.rules = config, rules
        self.device = torch.device(config.device)
        self.reward_scale = torch.zeros((), device=self.device)
        self.explained = torch.zeros((), device=self.device)
        self.begun = config.learning.single_until == 0 or config.learning.transition_batch_size == 0
        self.executes_on_g = rules.context == "decoded" and config.executor.id_fraction < 1
        self.noise = config.bottleneck.noise_std if rules.bottleneck else 0.0
        self.rate_weight = config.bottleneck.rate_weight if rules.bottleneck else 0.0
        self._reward_learns = reward is not None and any(p.requires_grad for p in reward.parameters())

    def explore(self, trials: Trials, progress: float) -> tuple[Tensor, Metrics]:
        """Loss () of g and of what explores: the learned explorer and its reward, or the posterior.

        It maximises E[log q(z | tau_:t)] over g, and the exploration reward over the explorer (eq. 5). f's codes are
        fixed targets.

        Args:
            trials: N trials.
            progress: share of the training steps that is done.
        """
        net, noise, explore = self.networks, self.config.bottleneck.noise_std, trials.explore
        # Codes f(mu): targets without gradient
        with torch.no_grad():
            code = net.f(self.factors(trials.problem_id))
        # g at every prefix, and -log q(f(mu) | tau_:t) in nats
        with torch.set_grad_enabled(self.begun):  # before, the few labels of whole streams are noise to these layers
            frame_features = net.g.encode_frames(explore)
            transitions = net.g.transitions(explore, frame_features)
        prefixes = net.g.read(transitions)
        error = prefix_error(code, prefixes, noise)
        # g: maximum likelihood of the codes; as half a squared distance, because the scale of nats depends on rho
        loss = g_loss = encoder_loss(error, explore) * noise**2
        belief = Belief(code, prefixes.detach(), error.detach(), progress)
        first, final = belief.error[:, 0], last_prefix(belief.error[..., None], explore)[:, 0]
        metrics = {
            "loss/encoder": g_loss.detach(),
            "explore/error_first": first.mean(),
            "explore/error_final": final.mean(),
            "explore/information": (first - final).mean(),
            "explore/explained": self.update_explained(code, final),
            "explore/length": explore.transition.sum(1).float().mean(),
            "replay/streams": torch.tensor(float(len(code))),
            "replay/transitions": explore.transition.sum().float(),
        }
        # Posterior sampling: maximum likelihood of the codes, on g's features without gradient to g
        if net.posterior is not None:
            posterior_loss = net.posterior.loss(code, transitions.detach(), explore)
            loss = loss + posterior_loss
            metrics["loss/posterior"] = posterior_loss.detach()
        # Learned explorer: its reward, and Q(lambda) on it unless it learns on-policy
        if net.explorer is not None:
            reward, reward_loss = self.exploration_reward(trials, belief)
            metrics["explore/return"] = reward.sum(1).mean()
            if self._reward_learns:
                metrics["loss/reward"] = reward_loss.detach()
            if self.config.explorer.learner == "q":
                exploring, explorer_metrics = self._explorer_q(trials, frame_features, belief, reward)
                loss, metrics = loss + (exploring + reward_loss), metrics | explorer_metrics
            else:
                loss = loss + reward_loss
        return loss, metrics

    def exploration_reward(self, trials: Trials, belief: Belief) -> tuple[Tensor, Tensor]:
        """The reward of each exploration step (N, T), 0 outside the mask, and the loss () of the reward's networks.

        Raises:
            UserError: the reward is not of this shape.
        """
        assert self.reward is not None
        mask = trials.explore.mask
        reward, loss = self.reward(trials, belief)
        if reward.shape != mask.shape:
            raise UserError(
                f"the exploration reward of {self.config.method} is of shape {tuple(reward.shape)}: it must return one "
                f"number for each exploration step, {tuple(mask.shape)}"
            )
        return reward.masked_fill(~mask, 0.0), loss

    def scaled(self, reward: Tensor, belief: Belief, explore: Episodes) -> Tensor:
        """The reward (N, T), scaled so that values are of order one: by the information available, or by its total.

        A reward for information costs c per step then, as a share of the information that g finds now. While g cannot
        use what a longer exploration would reveal, a cost relative to all that there is would end explorations after
        the first find, and g would not get the data to learn from. A reset step is free.
        """
        total = belief.error[:, 0] if self.rules.rewards_information else reward.abs().sum(1)
        scaled = reward / self.update_reward_scale(total)
        if self.rules.rewards_information:
            cost = self.config.explorer.step_cost * self.explained.clamp(0.0, 1.0)
            scaled = scaled - cost * explore.transition.to(scaled.dtype)
        return scaled

    def _explorer_q(
        self, trials: Trials, frame_features: Tensor, belief: Belief, reward: Tensor
    ) -> tuple[Tensor, Metrics]:
        """Double Q(lambda) loss () of the explorer on a reward (N, T).

        Args:
            trials: N trials.
            frame_features: (N, T + 1, D) of their explorations, from g's frame encoder.
            belief: about them.
            reward: of each exploration step.
        """
        net, average, cfg, explore = self.networks, self.averaged, self.config.explorer, trials.explore
        assert net.explorer is not None and average.explorer is not None
        scaled = self.scaled(reward, belief, explore)
        features = net.explorer.stream_features(explore, frame_features)
        q = net.explorer(explore, features)
        with torch.no_grad():
            target_q = average.explorer(explore, features)
        learned = q_policy_loss(q, target_q, explorer_decisions(explore, scaled, cfg.gamma), cfg.lambda_)
        return learned.loss, {
            "loss/explorer": learned.loss.detach(),
            "explore/value": learned.value * self.reward_scale,
        }

    def transitions(self, problem_id: Tensor, transitions: Episodes) -> Tensor:
        """Loss () of g's features: half the squared error of z predicted from single transitions.

        Args:
            problem_id: (N,) of the transitions.
            transitions: N streams of one step, each from another trial.
        """
        with torch.no_grad():
            code = self.networks.f(self.factors(problem_id))
        return 0.5 * (self.networks.g.from_single(transitions)[:, 0] - code).square().sum(-1).mean()

    def execute(self, replay: TrialReplay, generator: torch.Generator) -> tuple[Tensor, Metrics]:
        """Loss () of the executor and f: max E[V(z; mu)] - lambda I(z; mu), with z ~ F(z | mu) and with z = g(tau).

        f(problem) determines the problem, so every episode is valid experience for acting on it, and surprising ones
        are replayed more often. g(exploration) may be uninformative, and then the actions of an episode that was
        executed on f(problem) reveal more than z does: trained on such episodes (or on successes), the executor would
        learn that, given an uninformative z, whatever bus it takes is the right one. So g(exploration) is trained only
        on episodes that were executed on it, drawn uniformly.

        Args:
            replay: with at least one trial; the priorities of the sampled trials are updated.
            generator: draws the noise of the bottleneck.
        """
        cfg, net, average = self.config, self.networks, self.averaged
        batch = cfg.learning.execute_batch_size
        # z ~ F(z | mu) = N(f(mu), rho^2 I), the target network's z with the same noise
        informed, rows = replay.sample_by_priority(batch, cfg.executor.priority_exponent, "execute")
        n, problem_id, execute = informed.execute_episodes, informed.problem_id, informed.execute
        episodes = n  # of each code
        if informed.hindsight is not None:
            execute, problem_id, episodes = *self._relabelled(informed, generator), 1
        factors = self.factors(problem_id)
        code, average_code = net.f(factors), average.f(factors)
        if self.rules.context == "instruction":
            code, average_code = torch.zeros_like(code), torch.zeros_like(code)
        noise = self.noise * torch.randn(code.shape, generator=generator).to(self.device)
        z, target_z = (repeat(each + noise, "b z -> (b n) z", n=episodes) for each in (code, average_code))
        # z = g(tau_:t) for trials executed on it, without gradient to g, which learns from f's codes alone
        if self.executes_on_g and replay.holds_decoded:
            decoded = replay.sample_decoded(batch)
            g_z = net.decode(decoded.explore, decoded.decoded_steps, decoded.noise)
            execute = concatenate(execute, decoded.execute)
            g_z = repeat(g_z, "b z -> (b n) z", n=n)
            z, target_z = torch.cat([z, g_z]), torch.cat([target_z, g_z])
        # Executor: double Q(lambda) on the n execution episodes of each trial; each frame is encoded once
        frame_features = net.executor.encode_frames(execute)
        q = net.executor(execute, frame_features, z)
        with torch.no_grad():
            target_q = average.executor(execute, frame_features, target_z)
        decisions = executor_decisions(execute, cfg.executor.gamma)
        loss, surprise, value, _ = q_policy_loss(q, target_q, decisions, cfg.executor.lambda_, cfg.executor.action_gap)
        replay.set_priority(rows, reduce(surprise[: batch * n], "(b n) -> b", "max", n=n))
        # Bottleneck: lambda times the rate, the bound on I(z; mu)
        rates = rate(code)
        bottleneck = self.rate_weight * rates.mean()
        metrics = {
            "loss/executor": loss.detach(),
            "execute/value": value,
            "bottleneck/rate": rates.detach().mean(),
            "bottleneck/spread": code.detach().var(0).sum().sqrt(),
            "replay/streams": torch.tensor(float(len(execute.mask))),
            "replay/transitions": execute.mask.sum().float(),
        }
        return loss + bottleneck, metrics

    def _relabelled(self, trials: Trials, generator: torch.Generator) -> tuple[Episodes, Tensor]:
        """The executions of N trials, a share relabelled with what they would have been right for, if there is that.

        Returns:
            The N * n episodes and their problems (N * n,).
        """
        told = trials.hindsight
        assert told is not None
        drawn = torch.rand(len(told.valid), generator=generator).to(self.device)
        chosen = told.valid & (drawn < self.config.executor.hindsight_fraction)
        problem_id = repeat(trials.problem_id, "b -> (b n)", n=trials.execute_episodes)
        return told.relabel(trials.execute, chosen), torch.where(chosen, told.problem_id, problem_id)

    def update_reward_scale(self, total: Tensor) -> Tensor:
        """Update the running mean of the total reward of a trial, (N,) -> (), and return it, at least 1e-6.

        Batches with zero reward leave it unchanged. For rewards of outcomes it never falls: they are in the units of
        the task, and once every execution goes as expected, the remaining noise must not be scaled up.
        """
        now, before = total.mean(), self.reward_scale
        after = torch.where(before > 0, before.lerp(now, 0.01), now)
        if self.rules.rewards_outcome:
            after = torch.maximum(before, after)
        self.reward_scale = torch.where(now > 0, after, before)
        return self.reward_scale.clamp(min=1e-6)

    def note_beginning(self) -> None:
        """Set `begun`; once a round, because the host waits for the device here."""
        self.begun = self.begun or bool(self.explained >= self.config.learning.single_until)

    def update_explained(self, code: Tensor, final: Tensor) -> Tensor:
        """Update the running share of the variance of f's codes that g explains after whole explorations (an R^2).

        Args:
            code: (N, Z) f(mu).
            final: (N,) -log q(f(mu) | tau) up to a constant, nats.
        """
        variance = nats(code.var(0).sum(), self.config.bottleneck.noise_std)
        self.explained = self.explained.lerp(1.0 - final.mean() / variance.clamp(min=1e-6), 0.02)
        return self.explained
