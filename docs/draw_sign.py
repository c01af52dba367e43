"""Draw the pictures of docs/sign.md: our frames beside MiniWorld's, other worlds of the renderer, an episode.

Run `python docs/draw_sign.py FRAMES.npz`, with a file of recorded frames as `dream doctor --frames` takes it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dream.envs.render import contact_sheet
from dream.envs.sign.check import compare_frames
from dream.envs.sign.family import Sign
from dream.envs.sign.planning import Search, search, sign_pixels
from dream.envs.world3d.models import box
from dream.envs.world3d.renderer import Renderer
from dream.envs.world3d.scene import compile_scene
from dream.envs.world3d.worlds import four_rooms, maze
from dream.eval.show.video import write_video

IMAGES = Path(__file__).resolve().parent / "images"
Frame = NDArray[np.uint8]


def larger(frame: Frame, times: int = 3) -> Frame:
    """A frame magnified."""
    return np.repeat(np.repeat(frame, times, axis=0), times, axis=1)


def side_by_side(path: Path, rows: int = 4) -> Frame:
    """MiniWorld's frames, ours, and 16 times the error, for frames from the best to the worst."""
    found = compare_frames(path)
    order = np.argsort(found.error)
    chosen = order[np.linspace(0, len(order) - 1, rows).astype(int)]
    frames, captions = [], []
    for number in chosen.tolist():
        theirs, ours = found.theirs[number], found.ours[number]
        error = np.clip(np.abs(ours.astype(int) - theirs) * 16, 0, 255).astype(np.uint8)
        frames += [larger(theirs), larger(ours), larger(error)]
        captions += ["MiniWorld", "ours", f"error x 16 (mean {found.error[number]:.2f} of 255)"]
    return contact_sheet(frames, columns=3, captions=captions)


def other_worlds() -> Frame:
    """FourRooms and a maze with the same renderer: two views of each."""
    frames, captions = [], []
    rooms, cells = four_rooms(), maze(3, 3, np.random.default_rng(0))
    for name, plan, poses, (x, z) in (
        ("FourRooms", rooms, [(-5.5, 4.0, 0.15), (4.2, 5.5, 1.5)], (3.0, 4.5)),
        ("Maze, 3 x 3", cells, [(1.5, 4.75, 0.4), (1.5, 1.5, -np.pi / 2)], (4.7, 1.2)),
    ):
        renderer = Renderer(compile_scene(plan, [box("red")]))
        places = np.tile([x, 0.0, z, 0.4], (2, 1, 1))
        seen, _ = renderer.render(np.array(poses), np.zeros((2, 1), int), places)
        frames += [larger(frame) for frame in seen]
        captions += [name, name]
    return contact_sheet(frames, columns=4, captions=captions)


def episode(problem: int = 2) -> tuple[list[Frame], list[Frame]]:
    """A planned trial: walk to a good view of the sign, then to the key. Pictures of both episodes."""
    env = Sign(1)
    named = np.array([problem])
    env.reset(seed=3, options={"problem_id": named, "phase": "explore"})
    found = search(env.worlds.obstacles, 0, env.pose[0], 12)
    exploring = walk(env, found.way(found.nearest(_well_seen(env, found))))
    env.reset(options={"problem_id": named, "instruction": np.array([[1]])})
    found = search(env.worlds.obstacles, 0, env.pose[0], 15)
    return exploring, walk(env, found.way(found.nearest(found.touched == 3 + problem)))


def walk(env: Sign, way: list[int]) -> list[Frame]:
    """Pictures of an episode that has just begun, with these actions."""
    film = [env.episode_picture(0, "start")]
    for action in way:
        _, reward, *_ = env.step(np.array([action]))
        rewards = f", reward {reward[0]:+.0f}" if env.phase == "execute" else ""
        film.append(env.episode_picture(0, f"step {env.elapsed[0]}: {env.action_names[action]}{rewards}"))
    return film


def _well_seen(env: Sign, found: Search) -> NDArray[np.bool_]:
    return (found.touched < 0) & (sign_pixels(env.worlds, 0, found.pose) > 150)


def save(name: str, picture: Frame) -> None:
    """Write docs/images/NAME."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(IMAGES / name), bgr, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Give the file of recorded frames: python docs/draw_sign.py FRAMES.npz")
    IMAGES.mkdir(exist_ok=True)
    save("sign-side-by-side.png", side_by_side(Path(sys.argv[1])))
    save("sign-other-worlds.png", other_worlds())
    exploring, executing = episode()
    save("sign.png", contact_sheet([exploring[0], exploring[-1], executing[0], executing[-1]], columns=4))
    write_video(IMAGES / "sign.webm", exploring + executing)
