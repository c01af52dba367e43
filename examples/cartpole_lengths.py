"""CartPole with changed dynamics as a problem family: a pole of unknown length, and three unmarked buttons. One pushes
the cart to the left, one to the right, and one stops the machine, which ends an execution and not an exploration.

    dream train dream --env cartpole_lengths:CartPoles
"""

from itertools import permutations

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control import CartPoleEnv

from dream import GymnasiumAdapter, split_problems

LENGTHS = np.geomspace(0.3, 1.2, 8)  # half of the pole, in metres; CartPole's own is 0.5
BUTTONS = np.array(list(permutations(range(3))))  # (6, 3): which button is left, right and stop
FACTORS = np.array([(*buttons[:2], length) for buttons in BUTTONS for length in range(len(LENGTHS))])
HORIZON = 50


class Machine(gym.Wrapper):
    """CartPole with the buttons and the pole of the problem id. The reward is 0.1 while it stands."""

    def __init__(self):
        super().__init__(CartPoleEnv())
        self.action_space = gym.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        """Connect the buttons and mount the pole of the problem."""
        wiring, length = divmod(options["problem_id"], len(LENGTHS))
        self.effects = np.argsort(BUTTONS[wiring])  # of each button: 0 left, 1 right, 2 stop
        self.env.length = LENGTHS[length]
        self.env.polemass_length = self.env.masspole * self.env.length
        self.exploring = options["phase"] == "explore"
        self.last, info = self.env.reset(seed=seed)
        return self.last, info

    def step(self, action):
        """Press a button."""
        effect = int(self.effects[action])
        if effect == 2:
            return self.last, 0.0, not self.exploring, False, {}
        self.last, _, fallen, *rest = self.env.step(effect)
        return self.last, 0.1, fallen, *rest


class CartPoles(GymnasiumAdapter):
    """Find out what the buttons do, then balance the pole."""

    summary = "balance poles of unknown length with three buttons, of which one stops the machine"
    default_settings = {"steps": 200_000, "learning.num_envs": 32}
    observation_names = ("position", "speed", "angle", "turning")

    def __init__(self, num_envs, workers=0):
        problems = split_problems("cartpole-lengths", len(FACTORS), factor_table=FACTORS)
        given = {"problems": problems, "horizon": HORIZON, "action_names": ("A", "B", "C"), "workers": workers}
        super().__init__(Machine, num_envs, **given)
