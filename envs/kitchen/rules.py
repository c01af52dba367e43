"""What actions do in a kitchen, for all members at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dream.envs.kitchen.layout import NOTHING, POT
from dream.envs.kitchen.planning import FORWARD, LEFT, RIGHT, USE, Walks


class State(NamedTuple):
    """Of B members."""

    pose: NDArray[np.int64]
    """(B,) number of the pose."""
    opened: NDArray[np.int64]
    """(B,) type of the open container, -1 for none."""
    hand: NDArray[np.int64]
    """(B,) the ingredient in the hand, or NOTHING."""
    pot: NDArray[np.int64]
    """(B,) the ingredient that was put into the pot last, or NOTHING."""


class Deeds(NamedTuple):
    """What B members did in a step: the ingredient that it was about, or NOTHING."""

    opened: NDArray[np.int64]
    """(B,) in a container that was opened."""
    took: NDArray[np.int64]
    """(B,) out of a container."""
    returned: NDArray[np.int64]
    """(B,) back into a container."""
    potted: NDArray[np.int64]
    """(B,) into the pot."""


def act(
    walks: Walks,
    kitchen: NDArray[np.integer],
    contents: NDArray[np.integer],
    state: State,
    actions: NDArray[np.integer],
) -> tuple[State, Deeds]:
    """One step of B members in kitchens (B,) with contents (B, 6), actions (B,).

    Turning and walking need no explanation; the end action does nothing. Using a closed container opens it. Using an
    open one takes what it holds, or, with a full hand, puts that back: containers never run out. Using the pot with a
    full hand puts the ingredient into it. Everything is used from the cell before its front. One container is open at
    a time: it closes when another is opened or the agent leaves its cell.
    """
    pose, opened, hand, pot = state
    base, heading = pose // 4 * 4, pose % 4
    turn = (actions == LEFT) * 1 + (actions == RIGHT) * 3
    after = np.where(actions == FORWARD, walks.forward[kitchen, pose], base + (heading + turn) % 4)
    faced = np.where(actions == USE, walks.faced[kitchen, pose], -1)
    full = hand < NOTHING
    container = (faced >= 0) & (faced < POT)
    reached = container & (opened == faced)
    inside = contents[np.arange(len(pose)), np.where(container, faced, 0)]
    found = np.where(container & ~reached, inside, NOTHING)
    took = np.where(reached & ~full, inside, NOTHING)
    returned = np.where(reached & full, hand, NOTHING)
    potted = np.where((faced == POT) & full, hand, NOTHING)
    then = State(
        after,
        np.where(container, faced, np.where(after // 4 == pose // 4, opened, -1)),
        np.where(took < NOTHING, took, np.where((returned < NOTHING) | (potted < NOTHING), NOTHING, hand)),
        np.where(potted < NOTHING, potted, pot),
    )
    return then, Deeds(found, took, returned, potted)


def shown(walks: Walks, kitchen: NDArray[np.integer], state: State) -> NDArray[np.int64]:
    """The type of the container whose inside each member sees: open, and seen from the front, (B,); else -1."""
    return np.where(walks.faced[kitchen, state.pose] == state.opened, state.opened, -1)
