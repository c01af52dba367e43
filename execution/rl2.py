"""RL^2 and E-RL^2: one recurrent policy whose memory spans the whole trial, trained on reward alone.

Duan, Schulman, Chen, Bartlett, Sutskever, Abbeel, "RL^2: Fast Reinforcement Learning via Slow Reinforcement Learning"
(arXiv 1611.02779): the policy observes observation, previous action, previous reward and the end of episodes, keeps its
memory over all episodes of a trial, and maximises the reward of all of them (section 2.2). So does RL^2 here: its
exploration episodes are ordinary ones, with an instruction and a reward that it observes and that counts. It therefore
has more information than the other methods, whose exploration has neither.

Stadie, Yang, Houthooft, Chen, Duan, Wu, Abbeel, Sutskever, "Some Considerations on Learning to Explore via
Meta-Reinforcement Learning" (arXiv 1803.01118), section 3.2, E-RL^2: the same policy, but the reward of the exploration
episodes is set to zero in the objective, so exploring is worth what it contributes to the episodes after it. Decoupled
pairs are trained under the same protocol.

Both papers use policy gradients. Here the policy is trained by the algorithm of the executors and explorers of the
pairs, so that a comparison is one of the ideas.
"""

from __future__ import annotations

from torch import Tensor

from dream.config import TrainConfig
from dream.core.observations import ObservationSpace
from dream.core.rollout import PolicyState
from dream.core.trial import Observations
from dream.execution.base import ContextPolicy, EndToEndNetworks, trial_encoder
from dream.execution.stream import Layout, StepInputs


class RL2(EndToEndNetworks):
    """An encoder of the trial, whose features are the context of the policy.

    They scale and shift the features of the policy, as z does in an executor: the right action depends on place,
    instruction and problem jointly.

    Args:
        space: of one observation.
        layout: of the trials.
        length: largest number of observations in a trial.
        config: of the run; `network` is read.
    """

    def __init__(self, space: ObservationSpace, layout: Layout, length: int, config: TrainConfig):
        super().__init__()
        self.trial = trial_encoder(space, layout, length, config)
        self.policy = ContextPolicy(space, layout, self.trial.out_features, config)

    def encode_frames(self, obs: Observations, observed: Tensor) -> Tensor:
        """Observations (..., O), which of them are no padding (...) -> frame features (..., D)."""
        return self.trial.frames(obs, observed)

    def remember(self, frame_features: Tensor, inputs: StepInputs, state: PolicyState) -> tuple[Tensor, PolicyState]:
        """One step: (B, D), inputs (B, ...), state -> context (B, C), new state."""
        return self.trial.step(frame_features, inputs, state)

    def contexts(self, frame_features: Tensor, inputs: StepInputs) -> Tensor:
        """Whole trials: (N, T + 1, D), inputs (N, T + 1, ...) -> contexts (N, T + 1, C)."""
        return self.trial(frame_features, inputs)

    def act(self, frame_features: Tensor, inputs: StepInputs, context: Tensor) -> Tensor:
        """(..., D), inputs (...), context (..., C) -> outputs (..., O)."""
        return self.policy(frame_features, inputs, context)
