"""How an end-to-end policy learns by PPO: on fresh trials, each of them one stream.

A policy that can also act on the problem id (IMPORT) learns to act on either from the trials that it played on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from dream.config import TrainConfig
from dream.core.decisions import PolicyLoss
from dream.core.ppo import ValueNorm
from dream.core.trial import Trials
from dream.execution.base import EndToEndNetworks, Outputs
from dream.execution.stream import Layout, TrialStream, stream_decisions, trial_stream
from dream.methods.on_policy import on_policy


class EndToEndOnPolicy:
    """The PPO losses of an end-to-end policy.

    Args:
        networks: that learn.
        factors: problem ids (N,) -> what f reads of them.
        layout: of a trial.
        config: of the run.
        returns: statistics of the returns.
    """

    def __init__(
        self,
        networks: EndToEndNetworks,
        factors: Callable[[Tensor], Tensor],
        layout: Layout,
        config: TrainConfig,
        returns: ValueNorm,
    ):
        self._networks, self._factors, self._layout, self._config = networks, factors, layout, config
        self._returns = returns

    def update(
        self, trials: Trials, progress: float, generator: torch.Generator, step: Callable[[Tensor], None]
    ) -> Iterator[dict[str, Tensor]]:
        """Learn from fresh trials; yields the metrics of each gradient step.

        Args:
            trials: B trials that were just collected.
            progress: share of the training steps that is done; the weight of the entropy falls with it.
            generator: draws the parts of each pass, and what the loss samples.
            step: makes a gradient step on a loss ().
        """
        settings, config = self._config.ppo, self._config
        # The trials that were played on the memory first
        order = trials.used_id.long().argsort(stable=True)
        own = int((~trials.used_id).sum())
        whole = trial_stream(trials, self._layout).select(order)
        factors = self._factors(trials.problem_id[order])
        decisions = stream_decisions(whole, explore_gamma=config.end_to_end.explore_gamma, gamma=config.executor.gamma)
        with torch.no_grad():
            _, outputs = self._outputs(whole, factors, own)
            out = self._joined(outputs)
            streams = on_policy(out, decisions, self._layout.actions, self._returns, config)
        count, device, weight = len(factors), factors.device, config.end_to_end.entropy_weight
        for _ in range(settings.epochs):
            # Each part has the same share of both kinds of trials
            kinds = [torch.randperm(own, generator=generator), own + torch.randperm(count - own, generator=generator)]
            chunks = [kind.to(device).chunk(settings.minibatches) for kind in kinds if len(kind)]
            for parts in zip(*chunks, strict=False):
                rows = torch.cat(parts)
                stream = whole.select(rows)
                features, outputs = self._outputs(stream, factors[rows], len(parts[0]) if own else 0)
                learned = streams.loss(self._joined(outputs), rows, self._layout.actions, config, weight, progress)
                auxiliary, found = self._networks.auxiliary_loss(
                    features, outputs, stream, factors[rows], config, generator
                )
                step(learned.loss if auxiliary is None else learned.loss + auxiliary)
                yield found | self._metrics(learned, stream)

    def _outputs(self, stream: TrialStream, factors: Tensor, own: int) -> tuple[Tensor, Outputs]:
        net = self._networks
        features = net.encode_frames(stream.episodes.obs, stream.episodes.observed)
        return features, net.outputs(features, stream, factors, own=own, informed_from=own)

    def _joined(self, outputs: Outputs) -> Tensor:
        """(N, T + 1, O): each trial's output on what it was played on."""
        return outputs.own if outputs.informed is None else torch.cat([outputs.own, outputs.informed])

    def _metrics(self, learned: PolicyLoss, stream: TrialStream) -> dict[str, Tensor]:
        steps = stream.episodes.transition & stream.exploring
        named = {f"policy/{name}": value for name, value in learned.metrics.items()}
        parts = 1 + (1 if self._layout.explore_episodes else 0)
        return named | {
            "loss/policy": learned.loss.detach(),
            "execute/value": learned.value,
            "explore/length": steps.sum(1).float().mean(),
            "replay/streams": torch.tensor(float(parts * len(stream.problem_id))),
            "replay/transitions": stream.episodes.transition.sum().float(),
        }
