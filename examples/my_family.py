"""A problem family to start from: gold and silver are behind two of several doors.

Which doors is the problem; which of the two to fetch is the instruction. Copy the file, change it, and train:

    dream train dream --env my_family:Doors
"""

from itertools import permutations

import numpy as np
from gymnasium.spaces import MultiDiscrete

from dream import MetaEnv, Part, integer_space, split_problems

LEFT, RIGHT, OPEN, END = range(4)


class Doors(MetaEnv):
    """Observations (x, found): the door in front of the agent; 1 for gold and 2 for silver in a door just opened."""

    summary = "find out what is behind which door, then open the right one"
    default_settings = {"steps": 1_000_000}  # settings of training that differ from the defaults

    def __init__(self, num_envs: int, doors: int = 9, render_mode: str | None = None):
        if doors < 3:
            raise ValueError(f"doors is {doors}: give at least 3")
        self.doors, self.x = doors, np.zeros(num_envs, np.int64)
        self.hidden = np.array(list(permutations(range(doors), 2)))  # (problems, 2): the doors of gold and silver
        super().__init__(
            num_envs,
            problems=split_problems("doors", len(self.hidden), parameters={"doors": doors}, factor_table=self.hidden),
            horizon=3 * doors,
            observation_space=integer_space([doors, 3]),
            instruction_space=MultiDiscrete([2]),  # 0 gold, 1 silver
            action_names=("left", "right", "open", "end-episode"),
            end_action=END,
            render_mode=render_mode,
        )

    def sample_instruction(self, problem_id, rng):
        """Gold or silver, (N,) -> (N, 1)."""
        return rng.integers(2, size=(len(problem_id), 1))

    def _begin(self, members):
        self.x[members] = self.doors // 2
        return self._observe(np.zeros(self.num_envs))

    def _advance(self, actions):
        self.x = np.clip(self.x + (actions == RIGHT) - (actions == LEFT), 0, self.doors - 1)
        opened = actions == OPEN
        found = (self.hidden[self.problem_id] == self.x[:, None]) & opened[:, None]  # (B, 2): gold, silver
        right = found[np.arange(self.num_envs), self.instruction[:, 0]]
        reward = (opened * np.where(right, 1, -1)).astype(np.float32)
        return self._observe(found @ (1, 2)), reward, opened & (self.phase == "execute")

    def _observe(self, found):
        return np.stack([self.x, found], axis=1).astype(np.int16)

    # Optional: the bounds that scores are normalised with

    def optimal_return(self, problem_id, instruction):
        """Walk to the right door and open it; steps are free, (N,), (N, 1) -> (N,)."""
        return np.ones(len(problem_id))

    def no_exploration_return(self, split="all"):
        """Open the likeliest door, or none; the mean over gold and silver."""
        hidden = self.hidden[self.problems.ids(split)]
        chance = np.array([np.bincount(hidden[:, treasure]).max() / len(hidden) for treasure in (0, 1)])
        return float(np.maximum(0, 2 * chance - 1).mean())

    # Optional: what explains an explorer (dream explain, dream watch, dream report)

    def parts(self):
        """The doors of gold and silver."""
        return tuple(Part(name, self.hidden[:, i], self.doors, True) for i, name in enumerate(("gold", "silver")))
