"""How often an executor without exploration cooks its dish: it can only guess, as a wrong container ends the episode.

Of n containers each holds one of m ingredients, independently and uniformly. The instruction names the ingredients of
two containers K and L, independent and uniform. All that an executor can do is to open some container c for the first
ingredient and, if the second is another one, some d for that. It learns nothing before, and containers are alike, so
that any c and d will do. Three cases, with the probability of each and that of success in it:

- K = L, 1 / n. The dish asks twice for the same. c is K with probability 1 / n; otherwise it holds the ingredient with
  1 / m, as any container whose contents the instruction says nothing of.
- K and L differ and hold the same, (1 - 1 / n) / m. c is one of them with 2 / n, otherwise again 1 / m.
- They hold different things, (1 - 1 / n) (1 - 1 / m). Neither c = L nor d = K succeeds. Of the n (n - 1) equally likely
  pairs (K, L), one is (c, d); in n - 2 only K is c, and d holds the second with 1 / m; in n - 2 only L is d; in the
  (n - 2) (n - 3) that have neither both guesses succeed with 1 / m^2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dream.envs.kitchen.layout import INGREDIENTS


def guessing_chance(containers: NDArray[np.integer]) -> NDArray[np.float64]:
    """Probability that the best guesses cook the dish, over contents and instructions.

    Args:
        containers: (N,) how many each kitchen has, 2 or more.

    Returns:
        (N,)
    """
    n, blind = np.asarray(containers, np.float64), 1 / len(INGREDIENTS)
    one = (1 / n) * (1 / n + (1 - 1 / n) * blind)
    alike = (1 - 1 / n) * blind * (2 / n + (1 - 2 / n) * blind)
    both = (1 + 2 * (n - 2) * blind + (n - 2) * (n - 3) * blind**2) / (n * (n - 1))
    chance: NDArray[np.float64] = one + alike + (1 - 1 / n) * (1 - blind) * both
    return chance
