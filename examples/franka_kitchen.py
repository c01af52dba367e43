"""FrankaKitchen of gymnasium-robotics as a problem family: which two of seven tasks to do is to be found out. The goals
are shown while exploring only. Needs `pip install gymnasium-robotics "mujoco<3.4"`.

    dream train dream --env franka_kitchen:Kitchen --env-parameters workers=2
"""

from itertools import combinations

import gymnasium as gym
import numpy as np

from dream import GymnasiumAdapter, UserError, split_problems

TASKS = ("bottom burner", "hinge cabinet", "kettle", "light switch", "microwave", "slide cabinet", "top burner")
PAIRS = np.array(list(combinations(range(len(TASKS)), 2)))  # (21, 2), the problems
HORIZON = 50


class TwoTasks(gym.Wrapper):
    """The kitchen with the two tasks of the problem id, reward 1 for each. Goals that are not shown are zeros."""

    def __init__(self):
        try:
            import gymnasium_robotics
        except ImportError as error:
            raise UserError('franka_kitchen needs: pip install gymnasium-robotics "mujoco<3.4"') from error
        gym.register_envs(gymnasium_robotics)
        super().__init__(gym.make("FrankaKitchen-v1", render_mode="rgb_array", disable_env_checker=True))

    def reset(self, *, seed=None, options=None):
        """Begin with the tasks of the problem."""
        self.tasks = {TASKS[task] for task in PAIRS[options["problem_id"]]}
        self.exploring = options["phase"] == "explore"
        obs, info = self.env.reset(seed=seed)
        return self.shown(obs), info

    def step(self, action):
        """Only the tasks of the problem count."""
        obs, _, terminated, truncated, info = self.env.step(action)
        return self.shown(obs), float(len(self.tasks & {*info["step_task_completions"]})), terminated, truncated, info

    def shown(self, obs):
        """An observation with the goals that may be seen."""
        visible = self.tasks if self.exploring else ()
        return {**obs, "desired_goal": {task: goal * (task in visible) for task, goal in obs["desired_goal"].items()}}


class Kitchen(GymnasiumAdapter):
    """Find out which two tasks are wanted, then do them with the robot's arm."""

    summary = "find out which two things to do in the Franka kitchen, then do them"
    default_settings = {"explorer.learner": "ppo", "executor.learner": "ppo"}  # q has no continuous actions

    def __init__(self, num_envs, workers=0):
        problems = split_problems("franka-kitchen", len(PAIRS), factor_table=PAIRS)
        super().__init__(TwoTasks, num_envs, problems=problems, horizon=HORIZON, workers=workers)
