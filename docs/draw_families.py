"""Draw the pictures of docs/families.md from scripted episodes.

Run `python docs/draw_families.py`: it writes docs/images/bus.png and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dream.envs import Expert, MetaEnv, Phase, grid
from dream.envs.beacon.family import Beacon
from dream.envs.bus.family import Bus, BusNetwork, Map
from dream.envs.cooking.family import Cooking
from dream.envs.dark_rooms.family import DarkRooms
from dream.envs.fixed_arm.family import FixedArm
from dream.envs.kitchen.family import Kitchen
from dream.envs.point_goals.family import PointGoals
from dream.envs.render import contact_sheet
from dream.envs.sign.layout import COLOURS
from dream.envs.sign.worlds import SignWorlds
from dream.envs.signpost import family as signpost
from dream.spaces import Arrays, action_name, each

IMAGES = Path(__file__).resolve().parent / "images"
Frame = NDArray[np.uint8]


def walk(start: grid.Cell, end: grid.Cell) -> list[int]:
    """Moves from one cell to another: along x, then along y."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    return [grid.RIGHT if dx > 0 else grid.LEFT] * abs(dx) + [grid.UP if dy > 0 else grid.DOWN] * abs(dy)


def frames(
    env: MetaEnv,
    problem: int,
    phase: Phase,
    actions: Sequence[Any],
    shown: Sequence[int],
    instruction: list[int] | None = None,
) -> list[Frame]:
    """Pictures of one scripted episode at some of its times (0 is the start)."""
    goal = None if instruction is None else np.array([instruction])
    obs, info = env.reset(seed=0, options={"problem_id": [problem], "phase": phase, "instruction": goal})
    seen, scenes, captions, total = [member(obs)], [member(env.scene())], ["start"], 0.0
    for action in actions:
        obs, reward, *_ = env.step(np.array([action]))
        total += float(reward[0])
        seen.append(member(obs))
        scenes.append(member(env.scene()))
        done = action_name(env.single_action_space, env.action_names, action)
        captions.append(done + (f", return so far {total:+.2f}" if phase == "execute" else ""))
    scene = {name: np.array([now[name] for now in scenes]) for name in scenes[0]}
    so_far = [{name: array[: t + 1] for name, array in scene.items()} for t in shown]
    return [
        env.draw(problem, phase, seen[t], info["instruction"][0], f"step {t}: {captions[t]}", seen[:t], before)
        for t, before in zip(shown, so_far, strict=True)
    ]


def member(values: Arrays) -> Arrays:
    """What belongs to the first member of a batch."""
    return each(lambda array: array[0], values)


def line_to(env: BusNetwork, problem: int, corner: grid.Cell) -> tuple[grid.Cell, list[int]]:
    """The inner stop of the line that ends beside a corner, and the moves from its outer stop to the corner."""
    line = int(np.abs(env.destinations[problem] - corner).sum(axis=1).argmin())
    x, y = env.destinations[problem, line].tolist()
    return env.stops[line], walk((x, y), corner)


def bus(problem: int = 100) -> list[Frame]:
    """Ride a relevant line and a distracting one, then execute with the relevant one."""
    env = Bus(1)
    corner, distracting = env.corners[1], env.stops[len(env.useful_stops)]
    stop, rest = line_to(env, problem, corner)
    useful = [*walk(env.start, stop), grid.RIDE]
    both = [*useful, grid.RIDE, *walk(stop, distracting), grid.RIDE]
    there = useful + rest
    exploring = frames(env, problem, "explore", both, [len(useful), len(both)])
    return exploring + frames(env, problem, "execute", there, [0, len(there)], list(corner))


def city_map(problem: int = 9) -> list[Frame]:
    """Read the map, then take the right line."""
    env = Map(1)
    assert env.sign is not None
    corner, look = env.corners[1], walk(env.start, env.sign)
    stop, rest = line_to(env, problem, corner)
    there = [*walk(env.start, stop), grid.RIDE, *rest]
    exploring = frames(env, problem, "explore", look, [0, len(look)])
    return exploring + frames(env, problem, "execute", there, [0, len(there)], list(corner))


def cooking(problem: int = 27) -> list[Frame]:
    """Open two drawers, then cook from them."""
    env = Cooking(1)
    low, middle, _ = env.drawers
    look = [*walk(env.start, middle), grid.PICK_UP, *walk(middle, low), grid.PICK_UP]
    cook = [*walk(env.start, low), grid.PICK_UP, *walk(low, env.bowl), grid.DROP]
    cook += [*walk(env.bowl, middle), grid.PICK_UP, *walk(middle, env.bowl), grid.DROP]
    recipe = env.problems.features(np.array([problem]))[0, [0, 1]].tolist()
    exploring = frames(env, problem, "explore", look, [2, len(look)])
    return exploring + frames(env, problem, "execute", cook, [3, len(cook)], recipe)


def one_bit() -> list[Frame]:
    """Signpost: read the sign, press the button."""
    env = signpost.Signpost(1)
    exploring = frames(env, 1, "explore", [signpost.RIGHT] * 2, [0, 2])
    return exploring + frames(env, 1, "execute", [signpost.PRESS_A + 1], [0, 1], [0])


def dark_rooms(problem: int = 5) -> list[Frame]:
    """Step on the two nearest values, then take the best walk."""
    env = DarkRooms(1)
    cells = [divmod(cell, env.grid_size) for cell in np.flatnonzero(env.values[problem]).tolist()]
    nearest = sorted(cells, key=lambda cell: abs(cell[0] - env.start[0]) + abs(cell[1] - env.start[1]))[:2]
    look = [*walk(env.start, nearest[0]), *walk(nearest[0], nearest[1])]
    expert = env.expert(np.array([problem]), np.zeros((1, 1), int))
    best = [int(expert.act({})[0]) for _ in range(env.horizon)]
    exploring = frames(env, problem, "explore", look, [len(walk(env.start, nearest[0])), len(look)])
    return exploring + frames(env, problem, "execute", best, [0, len(best)], [0])


def fixed_arm(problem: int = 3) -> list[Frame]:
    """Pull two arms, then the best one."""
    env = FixedArm(1)
    best = int(env.means[problem].argmax())
    exploring = [frames(env, problem, "explore", [arm], [1])[0] for arm in (1, best)]
    return exploring + frames(env, problem, "execute", [best], [0, 1], [0])


def scripted(env: MetaEnv, problem: int, phase: Phase, script: Expert, shown: Sequence[int]) -> list[Frame]:
    """Pictures of an episode of a scripted policy at some of its times."""
    obs, _ = env.reset(seed=0, options={"problem_id": [problem], "phase": phase})
    actions = []
    for _ in range(max(shown)):
        actions.append(script.act(obs)[0])
        obs = env.step(actions[-1][None])[0]
    return frames(env, problem, phase, actions, shown)


def beacon(problem: int = 40) -> list[Frame]:
    """Walk to the beacon, then out through the gate."""
    env = Beacon(1)
    exploring = scripted(env, problem, "explore", env.scripted_explorer(1), [3, 5])
    return exploring + scripted(env, problem, "execute", expert_for(env, problem), [2, 4])


def point_goals(problem: int = 100) -> list[Frame]:
    """Walk to a goal that is near enough to the true one, then to this."""
    env = PointGoals(1)
    exploring = scripted(env, problem, "explore", expert_for(env, problem - 6), [5, 10])
    return exploring + scripted(env, problem, "execute", expert_for(env, problem), [5, 20])


def kitchen(problem: int = 100) -> list[Frame]:
    """Open the containers on a shortest tour, then cook."""
    env = Kitchen(1, kitchens=20)
    env.reset(seed=0, options={"problem_id": [problem]})
    dish = env.instruction.tolist()[0]
    exploring = scripted(env, problem, "explore", env.scripted_explorer(1), [6, 16])
    believed = np.array([problem])
    return exploring + scripted(env, problem, "execute", env.expert(believed, np.array([dish])), [10, 18])


def sign_worlds(houses: Sequence[int] = (1, 12, 25, 31)) -> list[Frame]:
    """Four houses of training at the end of a planned exploration, and two each with new textures and new plans."""
    pictures = []
    for variant, numbers in (("default", houses), ("textures", (3, 40)), ("plans", (5, 60))):
        env = SignWorlds(1, variant=variant)
        split = "train" if variant == "default" else "test"
        first = int(env.problems.ids(split).min())
        for number in numbers:
            problem = first + len(COLOURS) * number + number % len(COLOURS)
            obs, _ = env.reset(seed=0, options={"problem_id": [problem], "phase": "explore"})
            script, steps = env.scripted_explorer(1), 0
            while env.active[0]:
                obs, steps = env.step(script.act(obs))[0], steps + 1
            pictures.append(env.episode_picture(0, f"{split if variant == 'default' else variant}, {steps} steps"))
    return pictures


def expert_for(env: MetaEnv, problem: int) -> Expert:
    """The expert that believes in a problem of a family with a single instruction."""
    return env.expert(np.array([problem]), np.zeros((1, 1), np.int64))


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    drawn = {"bus": bus(), "map": city_map(), "cooking": cooking(), "signpost": one_bit()}
    drawn |= {"dark-rooms": dark_rooms(), "fixed-arm": fixed_arm()}
    drawn |= {"beacon": beacon(), "point-goals": point_goals(), "kitchen": kitchen(), "sign-worlds": sign_worlds()}
    for family, pictures in drawn.items():
        sheet = cv2.cvtColor(contact_sheet(pictures, columns=4), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(IMAGES / f"{family}.png"), sheet, [cv2.IMWRITE_PNG_COMPRESSION, 9])
