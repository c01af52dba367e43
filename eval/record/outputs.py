"""What a policy's output says about actions, in the terms that recordings show."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.core.actions import Actions
from dream.core.distributions import mode, parameters_of
from dream.core.heads import LearnerName
from dream.core.ppo import ValueNorm
from dream.eval.record.recorded import RecordedStreams, ValuesKind


class Shown(NamedTuple):
    """The fields of `RecordedStreams` of the same names, and of which kind the values are."""

    values: NDArray[np.float32]
    state_value: NDArray[np.float32] | None
    kind: ValuesKind

    def on(self, streams: RecordedStreams) -> RecordedStreams:
        """The streams with these fields."""
        return dataclasses.replace(streams, values=self.values, state_value=self.state_value)


def shown(out: Tensor, learner: LearnerName, actions: Actions, returns: ValueNorm | None = None) -> Shown:
    """What outputs (N, T + 1, O) of a policy say.

    Args:
        out: outputs of its head (`dream.core.heads`).
        learner: of the policy.
        actions: of the environment.
        returns: the units of the values of `ppo`; None: as they are.
    """
    if learner == "q":
        return Shown(_array(out), None, "values")
    parameters, value = out.split([parameters_of(actions), 1], -1)
    state_value = _array((value if returns is None else returns.denormalise(value))[..., 0])
    if not actions.numbers:
        shares = [logits.softmax(-1) for logits in parameters.split(actions.sizes, -1)]
        return Shown(_array(torch.cat(shares, -1)), state_value, "probabilities")
    deviation = parameters[..., actions.numbers :].exp()
    half = (actions.space.high - actions.space.low) / 2.0  # type: ignore[attr-defined]
    means = actions.for_environment(mode(parameters, actions))
    return Shown(np.concatenate([means, _array(deviation) * half], -1, dtype=np.float32), state_value, "gaussian")


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.cpu().numpy()
