"""Pictures of episodes: what is drawn (`Moment`), and the part of `MetaEnv` that draws it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs.problems import PHASES, Phase, ProblemSet
from dream.importing import load_object
from dream.spaces import Arrays, at, each, parts_of


@dataclass(frozen=True)
class Moment:
    """One moment of a recorded episode, to be drawn."""

    problem_id: int
    phase: Phase
    obs: Arrays
    """The observation, (D,) ints or numbers, (H, W, 3), or a dictionary of these."""
    instruction: NDArray[Any]
    """(I,) ints; without meaning while exploring."""
    caption: str
    """A line at the foot of the picture."""
    trail: Arrays
    """(T, ...) the observations before this one, oldest first."""
    scene: Mapping[str, NDArray[Any]]
    """`MetaEnv.scene` of this member at each observation so far, arrays (T + 1, ...) by name; {}: not recorded."""
    known: NDArray[np.bool_] | None = None
    """(P,) whether each of `MetaEnv.parts` has been observed. The others are drawn as unknown; None: all are drawn."""

    def knows(self, part: int) -> bool:
        """Whether a part of the problem is to be drawn."""
        return self.known is None or bool(self.known[part])


class Drawn:
    """The part of `MetaEnv` that makes pictures. A family names the function that draws it in `picture`."""

    picture: ClassVar[str] = "dream.envs.default_picture:picture_of_observation"
    """`module:function` of (family, Moment) -> (400, 352, 3) uint8, red, green, blue. It is imported when a picture is
    first drawn, because opencv is slow to import. By default the image and the numbers of the observation."""

    observation_names: tuple[str, ...] = ()
    """Names of the components of an observation, for the default picture; by default their numbers."""

    family: str
    problems: ProblemSet
    horizon: int
    num_envs: int
    single_observation_space: gym.Space[Any]
    single_action_space: Any
    instruction_space: gym.spaces.MultiDiscrete
    action_names: tuple[str, ...]
    render_mode: str | None
    phase: Phase
    problem_id: NDArray[np.int64]
    instruction: NDArray[np.int64]
    elapsed: NDArray[np.int64]
    last_obs: Arrays
    last_reward: NDArray[np.float32]
    last_actions: NDArray[Any]
    acted: NDArray[np.bool_]
    active: NDArray[np.bool_]
    out_of_time: NDArray[np.bool_]
    action_name: Callable[[Any], str]

    def draw(
        self,
        problem_id: int,
        phase: Phase,
        obs: Arrays,
        instruction: NDArray[Any],
        caption: str = "",
        trail: Sequence[Arrays] = (),
        scene: Mapping[str, NDArray[Any]] | None = None,
        known: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.uint8]:
        """Draw one moment of a recorded episode, without stepping. The arguments are the fields of `Moment`.

        The picture shows the hidden problem, except for the parts that are not `known`. Without `scene` it shows what
        can be inferred from the observations.

        Returns:
            (400, 352, 3) uint8, red, green, blue.

        Raises:
            ValueError: a problem, phase, or shape that does not exist.
        """
        ids, obs, instruction = self.problems.checked([problem_id]), each(np.asarray, obs), np.asarray(instruction)
        if phase not in PHASES:
            raise ValueError(f"phase is {phase!r}: choose 'explore' or 'execute'")
        given = [("instruction", instruction, self.instruction_space.shape)]
        for part, space in parts_of(self.single_observation_space).items():
            where, shape = f" ({part})" if part else "", space.shape or ()
            given.append((f"obs{where}", obs[part] if part else obs, shape))
            given += [
                (f"an observation of the trail{where}", np.asarray(earlier[part] if part else earlier), shape)
                for earlier in trail
            ]
        for name, array, expected in given:
            if array.shape != expected:
                raise ValueError(f"{name} has shape {array.shape}: give that of one member, {expected}")
        way = each(lambda now, *earlier: np.array(earlier, now.dtype).reshape(-1, *now.shape), obs, *trail)
        return self._draw(Moment(int(ids[0]), phase, obs, instruction, caption, way, scene or {}, known))

    def _draw(self, moment: Moment) -> NDArray[np.uint8]:
        """Draw a moment whose fields are checked; a family that has no module for it may override this."""
        return load_object(self.picture)(self, moment)

    def _check_pictured(self, member: int) -> None:
        """Raise RuntimeError before the first reset, ValueError for a member that does not exist."""
        if self.elapsed[0] < 0:
            raise RuntimeError("a picture was asked for before reset: call reset first")
        if not 0 <= member < self.num_envs:
            raise ValueError(f"member {member} does not exist: there are 0 to {self.num_envs - 1}")

    def render_members(self, members: Sequence[int] | None = None) -> list[NDArray[np.uint8]]:
        """One picture (H, W, 3) uint8 per member (all by default), captioned with step, action and reward.

        Raises RuntimeError before the first reset.
        """
        if self.elapsed[0] < 0:
            raise RuntimeError("render was called before reset: call reset first")
        pictures = []
        for member in range(self.num_envs) if members is None else members:
            caption = f"step {self.elapsed[member]}/{self.horizon}"
            if self.acted[member]:
                done = self.action_name(self.last_actions[member])
                caption += f"   {done}   reward {self.last_reward[member]:+.2f}"
            if not self.active[member]:
                caption += "   out of time" if self.out_of_time[member] else "   the end"
            obs, instruction = at(self.last_obs, member), self.instruction[member]
            pictures.append(self.draw(int(self.problem_id[member]), self.phase, obs, instruction, caption))
        return pictures

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """The pictures of all members with render_mode="rgb_array", else None."""
        return tuple(self.render_members()) if self.render_mode else None
