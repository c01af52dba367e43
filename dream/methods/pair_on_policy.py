"""How the policies of a decoupled pair learn by PPO: on fresh trials, from the rewards of `PairLosses`.

Each round, the probabilities of the actions, advantages and returns of the trials just collected are computed once.
Then come `ppo.epochs` passes over them in `ppo.minibatches` parts. f learns with the executor, through the z that it
acted on: z = f(mu) + noise, the noise of each trial held fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from einops import repeat
from torch import Tensor

from dream.core.actions import Actions
from dream.core.bottleneck import prefix_error, rate
from dream.core.trial import Trials
from dream.execution.executor import executor_decisions
from dream.exploration.base import Belief
from dream.exploration.learned import explorer_decisions
from dream.methods.on_policy import OnPolicy, on_policy
from dream.methods.pair_losses import Metrics, PairLosses


class PairOnPolicy:
    """The PPO losses of a pair.

    Args:
        losses: of the pair: its networks, rewards and settings.
        actions: of the environment.
    """

    def __init__(self, losses: PairLosses, actions: Actions):
        self._losses, self._actions = losses, actions
        self._config, self._net = losses.config, losses.networks
        self._explorer = losses.networks.explorer_returns is not None
        self._executor = losses.networks.executor_returns is not None

    def update(
        self, trials: Trials, progress: float, generator: torch.Generator, step: Callable[[Tensor], None]
    ) -> Iterator[Metrics]:
        """Learn from fresh trials; yields the metrics of each gradient step.

        Args:
            trials: B trials with `Trials.fresh`.
            progress: share of the training steps that is done; the weight of the entropy falls with it.
            generator: draws the parts of each pass.
            step: makes a gradient step on a loss ().
        """
        assert trials.fresh is not None
        count, settings = len(trials.problem_id), self._config.ppo
        explorer = self._explorer_streams(trials, progress) if self._explorer and trials.fresh.explored else None
        executor, noise = self._executor_streams(trials) if self._executor else (None, None)
        if explorer is None and executor is None:
            return
        steps, streams = self._steps(trials), self._explorer + self._executor * trials.execute_episodes
        for _ in range(settings.epochs):
            order = torch.randperm(count, generator=generator).to(trials.problem_id.device)
            for rows in order.chunk(settings.minibatches):
                metrics: Metrics = {}
                loss = trials.explore.reward.new_zeros(())
                if explorer is not None:
                    explorer_loss, found = self._explorer_loss(trials, explorer, rows, progress)
                    loss, metrics = loss + explorer_loss, metrics | found
                if executor is not None and noise is not None:
                    executor_loss, found = self._executor_loss(trials, executor, noise, rows, progress)
                    loss, metrics = loss + executor_loss, metrics | found
                step(loss)
                yield metrics | {
                    "replay/transitions": steps * len(rows) / count,
                    "replay/streams": torch.tensor(float(len(rows) * streams)),
                }

    # ---- explorer -----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _explorer_streams(self, trials: Trials, progress: float) -> OnPolicy:
        """Explorations with the exploration reward under the current f and g."""
        net, losses, explore = self._net, self._losses, trials.explore
        assert net.explorer is not None and net.explorer_returns is not None and losses.reward is not None
        # log q(f(mu) | tau_:t) and the reward that a method makes of it
        code, prefixes = net.f(losses.factors(trials.problem_id)), net.g(explore)
        belief = Belief(code, prefixes, prefix_error(code, prefixes, self._config.bottleneck.noise_std), progress)
        losses.reward.eval()  # its statistics are those of the replayed updates, in which it learns
        reward, _ = losses.exploration_reward(trials, belief)
        losses.reward.train()
        decisions = explorer_decisions(explore, losses.scaled(reward, belief, explore), self._config.explorer.gamma)
        # An outcome depends on the exploration only where the execution was on g(exploration)
        if losses.rules.rewards_outcome:
            decisions = decisions.only(trials.used_all)
        features = net.explorer.encode_frames(explore.obs, explore.observed, net.g.frames)
        out = net.explorer(explore, features)
        return on_policy(out, decisions, self._actions, net.explorer_returns, self._config)

    def _explorer_loss(
        self, trials: Trials, streams: OnPolicy, rows: Tensor, progress: float
    ) -> tuple[Tensor, Metrics]:
        net, explore = self._net, trials.explore.select(rows)
        assert net.explorer is not None
        features = net.explorer.encode_frames(explore.obs, explore.observed, net.g.frames)
        out = net.explorer(explore, features)
        weight = self._config.explorer.entropy_weight
        learned = streams.loss(out, rows, self._actions, self._config, weight, progress)
        named = {f"explorer/{name}": value for name, value in learned.metrics.items()}
        return learned.loss, {"loss/explorer": learned.loss.detach()} | named

    # ---- executor -----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _executor_streams(self, trials: Trials) -> tuple[OnPolicy, Tensor]:
        """Executions, and the noise added to f(mu) in each trial (B, Z), 0 where it acted on g(exploration)."""
        net, execute, fresh = self._net, trials.execute, trials.fresh
        assert fresh is not None and fresh.z is not None and net.executor_returns is not None
        noise = (fresh.z - self._code(trials.problem_id)) * trials.used_id[:, None]
        decisions = executor_decisions(execute, self._config.executor.gamma)
        n = trials.execute_episodes
        out = net.executor(execute, net.executor.encode_frames(execute), repeat(fresh.z, "b z -> (b n) z", n=n))
        return on_policy(out, decisions, self._actions, net.executor_returns, self._config), noise

    def _executor_loss(
        self, trials: Trials, streams: OnPolicy, noise: Tensor, rows: Tensor, progress: float
    ) -> tuple[Tensor, Metrics]:
        net, n, losses = self._net, trials.execute_episodes, self._losses
        assert trials.fresh is not None and trials.fresh.z is not None
        streams_of = (rows[:, None] * n + torch.arange(n, device=rows.device)).flatten()
        execute = trials.execute.select(streams_of)
        # z ~ F(z | mu) where the executor acted on it, else g(tau) without gradient
        code = self._code(trials.problem_id[rows])
        z = torch.where(trials.used_id[rows][:, None], code + noise[rows], trials.fresh.z[rows])
        out = net.executor(execute, net.executor.encode_frames(execute), repeat(z, "b z -> (b n) z", n=n))
        weight = self._config.executor.entropy_weight
        learned = streams.loss(out, streams_of, self._actions, self._config, weight, progress)
        # Bottleneck: lambda times the rate
        rates = rate(code)
        named = {f"executor/{name}": value for name, value in learned.metrics.items()}
        metrics = {
            "loss/executor": learned.loss.detach(),
            "execute/value": learned.value,
            "bottleneck/rate": rates.detach().mean(),
            "bottleneck/spread": code.detach().var(0).sum().sqrt(),
        }
        return learned.loss + losses.rate_weight * rates.mean(), metrics | named

    def _code(self, problem_id: Tensor) -> Tensor:
        """f(mu) of problems (N,), (N, Z); zeros for an executor that is given the instruction alone."""
        code = self._net.f(self._losses.factors(problem_id))
        return torch.zeros_like(code) if self._losses.rules.context == "instruction" else code

    def _steps(self, trials: Trials) -> Tensor:
        """() float32, the steps of the policies that learn here."""
        steps = trials.explore.transition.sum() * self._explorer + trials.execute.transition.sum() * self._executor
        return steps.float()
