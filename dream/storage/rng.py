"""Random generators as plain data, for checkpoints."""

from __future__ import annotations

import json

import numpy as np
import torch

Rng = np.random.Generator | torch.Generator


def pack_rng(rng: Rng) -> str | torch.Tensor:
    """The state of a random generator as plain data."""
    if isinstance(rng, torch.Generator):
        return rng.get_state()
    return json.dumps(rng.bit_generator.state)


def restore_rng(rng: Rng, packed: str | torch.Tensor) -> None:
    """Set a generator to a state from `pack_rng`, in place. Raises ValueError if it is of another kind."""
    if isinstance(rng, torch.Generator) and isinstance(packed, torch.Tensor):
        rng.set_state(packed)
    elif isinstance(rng, np.random.Generator) and isinstance(packed, str):
        rng.bit_generator.state = json.loads(packed)
    else:
        raise ValueError(f"the state of another kind of generator cannot be given to a {type(rng).__name__}")
