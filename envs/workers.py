"""Members of an adapted env in worker processes: gymnasium's AsyncVectorEnv over shares of the members."""

from __future__ import annotations

import atexit
import math
import os
import signal
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from dream.envs.members import Codes, Members
from dream.errors import STOP_SIGNALS, UserError
from dream.spaces import Arrays, each, zeros


class Workers:
    """`Members` in processes, with the same methods and results. Each process holds an equal share of the members.

    Observations come back through shared memory. Workers ignore the signals that ask a training to stop, which
    terminals, `timeout` and clusters send to all processes, so that it can finish its round and save.

    Args:
        make_env: makes one env; called in the workers, and twice in this process for its spaces.
        count: B, the members.
        workers: processes, at most; with fewer members there are fewer.
        family: for messages.
        horizon: steps that an env must allow.
        codes: of images whose pixels are categories.

    Raises:
        ValueError: as for `Members`.
    """

    def __init__(
        self,
        make_env: Callable[[], gym.Env[Any, Any]],
        count: int,
        workers: int,
        family: str,
        horizon: int,
        codes: Codes = None,
    ) -> None:
        self.count, self.share = count, math.ceil(count / workers)
        self.processes = math.ceil(count / self.share)
        arguments = (make_env, self.share, family, horizon, codes)
        first = Members(*arguments)
        self.observation_space, self.action_space = first.observation_space, first.action_space
        self.render_mode = first.render_mode
        first.close()
        here = os.getpid()

        def share(index: int) -> gym.Env[Any, Any]:
            if os.getpid() != here:
                for number in STOP_SIGNALS:
                    signal.signal(number, signal.SIG_IGN)
            return _Share(index, *arguments)

        self._envs: AsyncVectorEnv[Any, Any] = AsyncVectorEnv(
            [partial(share, index) for index in range(self.processes)],
            copy=False,
            autoreset_mode=AutoresetMode.DISABLED,
        )
        # Python ends processes that are left at exit by SIGTERM, which these ignore, and waits for them.
        self._close = weakref.finalize(self, self._envs.close)
        atexit.register(self._close)

    def reset(
        self,
        phase: str,
        starts: NDArray[np.bool_],
        seeds: NDArray[np.int64],
        problem_id: NDArray[np.int64],
        instruction: NDArray[np.int64],
    ) -> Arrays:
        """As `Members.reset`."""
        arrays = [self._dealt(array) for array in (starts, seeds, problem_id, instruction)]
        obs, info = self._envs.reset(options={"phase": phase, "arrays": arrays})
        _refuse(info)
        return each(self._gathered, obs["obs"])

    def step(
        self, actions: NDArray[Any], active: NDArray[np.bool_]
    ) -> tuple[Arrays, NDArray[np.float32], NDArray[np.bool_]]:
        """As `Members.step`."""
        made, *_, info = self._envs.step({"actions": self._dealt(actions), "active": self._dealt(active)})
        _refuse(info)
        obs = each(self._gathered, made["obs"])
        return obs, self._gathered(made["reward"]), self._gathered(made["terminated"]).astype(np.bool_)

    def frames(self, members: Sequence[int]) -> list[NDArray[np.uint8]]:
        """As `Members.frames`."""
        shares = self._envs.call("frames", [divmod(member, self.share) for member in members])
        return [shares[member // self.share][member % self.share] for member in members]

    @property
    def reads_problem(self) -> bool:
        """Whether an env's `reset` looked at options["problem_id"]."""
        return any(self._envs.call("reads_problem"))

    def close(self) -> None:
        """Close every env and end the workers; may be called again."""
        self._close()

    def _dealt(self, array: NDArray[Any]) -> NDArray[Any]:
        """(B, ...) -> (processes, share, ...), zeros for members that are not."""
        empty = self.processes * self.share - self.count
        full = np.concatenate([array, np.zeros((empty, *array.shape[1:]), array.dtype)]) if empty else array
        return full.reshape(self.processes, self.share, *array.shape[1:])

    def _gathered(self, array: NDArray[Any]) -> NDArray[Any]:
        """(processes, share, ...) -> (B, ...)."""
        return array.reshape(-1, *array.shape[2:])[: self.count]


class _Share(gym.Env[Any, Any]):
    """`Members` as one env, in a worker. An observation holds all that `Members.step` returns, for the shared memory.

    A refusal is returned in `info`, because gymnasium prints the traceback of what a worker raises.
    """

    def __init__(self, index: int, *arguments: Any) -> None:
        self.index, self.members = index, Members(*arguments)
        count, self.render_mode = self.members.count, self.members.render_mode
        self.observation_space = gym.spaces.Dict(
            {
                "obs": batch_space(self.members.observation_space, count),
                "reward": gym.spaces.Box(-np.inf, np.inf, (count,), np.float32),
                "terminated": gym.spaces.MultiBinary(count),
            }
        )
        self.action_space = gym.spaces.Dict(
            {"actions": batch_space(self.members.action_space, count), "active": gym.spaces.MultiBinary(count)}
        )
        self._nothing = zeros(self.members.observation_space, count), np.zeros(count, np.float32), np.zeros(count, bool)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Options: "phase", and "arrays" with those of all shares, (processes, share, ...)."""
        assert options is not None
        mine = [array[self.index] for array in options["arrays"]]
        _, reward, terminated = self._nothing
        return self._made(lambda: (self.members.reset(options["phase"], *mine), reward, terminated))

    def step(self, action: dict[str, NDArray[Any]]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Actions and which members are active."""
        made, info = self._made(lambda: self.members.step(action["actions"], action["active"]))
        return made, 0.0, False, False, info

    def _made(self, function: Callable[[], tuple[Any, Any, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
        info = {}
        try:
            made = function()
        except UserError as refusal:
            made, info = self._nothing, {"refusal": str(refusal)}
        return dict(zip(("obs", "reward", "terminated"), made, strict=True)), info

    @property
    def reads_problem(self) -> bool:
        """Of its members."""
        return self.members.reads_problem

    def frames(self, places: Sequence[tuple[int, int]]) -> dict[int, NDArray[np.uint8]]:
        """Pictures by member of this share, of those (share, member) that are here."""
        mine = [member for share, member in places if share == self.index]
        return dict(zip(mine, self.members.frames(mine), strict=True))

    def close(self) -> None:
        """Close the envs."""
        self.members.close()


def _refuse(info: dict[str, Any]) -> None:
    """Raise the refusal of the first share that has one."""
    if "refusal" in info:
        raise UserError(next(text for text in info["refusal"] if text))
