"""MiniGrid's memory task as a problem family. The key or the ball in the start room says which end of the hallway is
right. Exploration shows this object and execution hides it. Needs `pip install minigrid`.

    dream train dream --env minigrid_memory:Memory
"""

import gymnasium as gym
import numpy as np

from dream import GymnasiumAdapter, UserError, split_problems


class KnownObject(gym.Wrapper):
    """MemoryS9 with the object of the problem id; reward 1 at the right end. Observes the image."""

    def __init__(self):
        try:
            import minigrid  # noqa: F401 (registers its envs)
        except ImportError as error:
            raise UserError("minigrid_memory needs: pip install minigrid") from error
        super().__init__(gym.make("MiniGrid-MemoryS9-v0", render_mode="rgb_array"))
        self.observation_space = self.env.observation_space["image"]
        self.action_space = gym.spaces.Discrete(3)  # left, right, forward: the others do nothing here

    def reset(self, *, seed=None, options=None):
        """Draw episodes until the object is that of the problem."""
        world, home = self.env.unwrapped, (1, 3)
        self.env.reset(seed=seed)
        while world.grid.get(*home).type != ("key", "ball")[options["problem_id"]]:
            self.env.reset()
        if options["phase"] == "execute":
            world.grid.set(*home, None)
        return world.gen_obs()["image"], {}

    def step(self, action):
        """MiniGrid's reward is smaller for slower ways; here it is 1."""
        obs, reward, *rest = self.env.step(action)
        return obs["image"], float(reward > 0), *rest


class Memory(GymnasiumAdapter):
    """Look which object is in the start room, then go to the end of the hallway with the same object."""

    summary = "see which object is in the start room of MiniGrid's memory task, then go to its twin"
    default_settings = {"steps": 600_000}

    def __init__(self, num_envs, workers=0):
        problems, names = split_problems("minigrid-memory", 2), ("left", "right", "forward")
        codes = (11, 6, 3)  # values of a cell's object, colour and state
        given = {"problems": problems, "horizon": 25, "codes": codes, "action_names": names, "workers": workers}
        super().__init__(KnownObject, num_envs, **given)

    def optimal_return(self, problem_id, instruction):
        """The right end is within reach of every start."""
        return np.ones(len(problem_id))

    def no_exploration_return(self, split="all"):
        """Either end is right with probability one half."""
        return 0.5
