"""What episodes would have been right for, from an environment's arrays to tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import torch
from einops import rearrange
from torch import Tensor

from dream.core import environment
from dream.core.trial import Hindsight


def as_tensors(told: Sequence[environment.Hindsight], device: torch.device) -> Hindsight:
    """What n batches of B episodes would have been right for, in the order of `interleave`: B * n of them."""

    def joined(name: str) -> Tensor:
        parts = [torch.from_numpy(getattr(each, name)) for each in told]
        return rearrange(parts, "n b ... -> (b n) ...").to(device)

    return Hindsight(**{item.name: joined(item.name) for item in fields(Hindsight)})
