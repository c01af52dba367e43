"""What episodes would have been right for, from an environment's arrays to tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor

from dream.core import environment
from dream.core.trial import Hindsight


def as_tensors(told: Sequence[environment.Hindsight], device: torch.device) -> Hindsight:
    """What n batches of B episodes would have been right for, in the order of `interleave`: B * n of them."""

    def joined(name: str) -> Tensor:
        stacked = np.stack([getattr(each, name) for each in told], axis=1)
        return torch.from_numpy(stacked.reshape(-1, *stacked.shape[2:])).to(device)

    return Hindsight(**{item.name: joined(item.name) for item in fields(Hindsight)})
