"""The renderer of 3D worlds: geometry against values worked out by hand, and what it promises about batches."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dream.envs.sign.layout import layout_of
from dream.envs.world3d import models, worlds
from dream.envs.world3d.camera import SAMPLES, make_camera
from dream.envs.world3d.floorplan import Floorplan, Room
from dream.envs.world3d.motion import AGENT_RADIUS, make_obstacles, move
from dream.envs.world3d.renderer import Renderer
from dream.envs.world3d.scene import compile_scene, compile_worlds
from dream.envs.world3d.textures import FINEST, PRECISION, STEPS, build_blended, load_image, mip_chain

SIGN_ROOM = layout_of("sign", "default").floorplan()
NOTHING = np.zeros((1, 0), int)
NOWHERE = np.zeros((1, 0, 4))


def one_room(*things: models.Model, **looks: object) -> Renderer:
    """A white room from 0 to 10 in x and in z."""
    plan = Floorplan()
    plan.add_rectangle((0, 10), (0, 10), **{"wall": "white", "floor": "white", "ceiling": "white", **looks})
    return Renderer(compile_scene(plan, things))


def look(renderer: Renderer, x: float, z: float, direction: float, *things: tuple[int, float, float, float, float]):
    """One frame; things are (model, x, y, z, direction)."""
    numbers = np.array([[thing[0] for thing in things]], int).reshape(1, -1)
    places = np.array([[thing[1:] for thing in things]], float).reshape(1, -1, 4)
    frames, seen = renderer.render(np.array([[x, z, direction]]), numbers, places)
    return frames[0], seen[0]


def row_of(height: float, depth: float) -> float:
    """Where a point of this height and depth lies: 60 degrees fill 60 rows, the eye is 1.5 m high."""
    return 30 - (height - 1.5) / depth / math.tan(math.radians(30)) * 30


def test_a_wall_stands_where_it_should_and_is_lit_from_its_side() -> None:
    white = mip_chain(load_image("white"))[-1][0, 0].astype(float)
    renderer = one_room()
    for direction, shade in ((0, 0.65), (math.pi, 0.8354), (math.pi / 2, 0.8354), (-math.pi / 2, 0.65)):
        frame, _ = look(renderer, 5, 5, direction)
        column = frame[:, 40].astype(float)
        top, bottom = row_of(2.74, 5), row_of(0, 5)
        assert np.abs(column[int(top) + 1 : int(bottom)] - white * shade).max() <= 1
        assert np.abs(column[: int(top)] - white * 0.65).max() <= 1  # the ceiling, in shadow
        assert np.abs(column[int(bottom) + 1 :] - white).max() <= 1  # the floor, fully lit
        share = bottom - int(bottom)
        mixed = white * (shade * share + 1 - share)
        assert np.abs(column[int(bottom)] - mixed).max() <= 255 / 4 * 0.36  # one sample in four


def test_the_sky_is_seen_where_there_is_no_ceiling() -> None:
    frame, _ = look(one_room(ceiling=None), 5, 5, 0.3)
    assert (frame[0] == np.round(np.array([0.25, 0.82, 1.0]) * 255)).all()


def test_a_box_covers_what_it_should_and_hides_what_is_behind() -> None:
    renderer = one_room(models.box("red", 0.8), models.box("blue", 0.4))
    frame, seen = look(renderer, 2, 5, 0, (0, 6, 0, 5, 0), (1, 8, 0, 5, 0))
    top, bottom, half = row_of(0.8, 3.6), row_of(0, 3.6), 0.4 / 3.6 / math.tan(math.radians(30)) * 30
    back = row_of(0.8, 4.4)
    front = 2 * half * (bottom - top)
    lid = (half + 0.4 / 4.4 / math.tan(math.radians(30)) * 30) * (top - back)
    assert seen[0] == pytest.approx(front + lid, rel=0.02) and seen[1] == 0
    assert frame[int((top + bottom) / 2), 40].tolist() == [round(255 * 0.65), 0, 0]
    assert frame[int((top + back) / 2), 40].tolist() == [255, 0, 0]
    frame, seen = look(renderer, 2, 5, 0, (1, 8, 0, 5, 0))
    assert seen[0] > 10
    assert look(renderer, 2, 5, math.pi, (1, 8, 0, 5, 0))[1][0] == 0


def test_walls_hide_things_and_openings_show_them() -> None:
    plan = worlds.four_rooms()
    renderer = Renderer(compile_scene(plan, [models.box("red"), models.text_sign("A", 0.2)]))
    straight = look(renderer, -4, 4, 0, (0, 4, 0, 4, 0))[1][0]
    assert straight > 20  # through the opening
    assert look(renderer, -4, 2, 0, (0, 4, 0, 1.6, 0))[1][0] == 0  # behind the wall
    part = look(renderer, -4, 4, 0, (0, 4, 0, 2.3, 0))[1][0]
    assert 2 < part < 0.8 * straight  # half behind the edge of the opening
    low, high = look(renderer, -4, 4, 0, (1, 2, 1.5, 4, math.pi), (1, 2, 2.5, 4, math.pi))[1]
    assert low > 1 and high == 0  # the lintel hides what hangs above it


def test_floors_of_two_rooms_make_no_edge() -> None:
    """The left and the right part of the sign room touch: one floor, drawn as if there were one room."""
    renderer = Renderer(compile_scene(SIGN_ROOM, []))
    whole = Floorplan()
    whole.add_rectangle((0, 10), (6.75, 13))
    one = Renderer(compile_scene(whole, []))
    pose = np.array([[2.0, 8.0, -math.pi / 4], [5.5, 8.0, -0.8], [8.0, 9.0, -0.9]])
    things, places = np.zeros((3, 0), int), np.zeros((3, 0, 4))
    two, whole_frames = renderer.render(pose, things, places)[0], one.render(pose, things, places)[0]
    assert np.abs(two.astype(int) - whole_frames).max() <= 1


def test_neighbours_and_threads_never_matter() -> None:
    rng = np.random.default_rng(0)
    plan = worlds.maze(3, 3, rng)
    scene = compile_scene(plan, [models.box("red"), models.mesh("key_blue", 0.6)])
    pose = np.stack([rng.uniform(0.5, 9, 12), rng.uniform(0.5, 9, 12), rng.uniform(-3, 3, 12)], axis=1)
    numbers = rng.integers(-1, 2, (12, 5))
    places = np.concatenate([rng.uniform(0, 9, (12, 5, 3)) * [1, 0, 1], rng.uniform(-3, 3, (12, 5, 1))], axis=2)
    together, seen = Renderer(scene).render(pose, numbers, places)
    spread, seen_too = Renderer(scene, threads=3).render(pose, numbers, places)
    assert (together == spread).all() and (seen == seen_too).all() and seen.any()
    for member in (0, 7, 11):
        rows = slice(member, member + 1)
        alone, _ = Renderer(scene).render(pose[rows], numbers[rows], places[rows])
        assert (alone[0] == together[member]).all()


def test_a_cut_off_sign_is_drawn() -> None:
    """Standing beside the board, part of it behind the camera."""
    renderer = one_room(models.text_sign("GREEN", 1.0), wall="concrete")
    frame, seen = look(renderer, 9.5, 5, math.pi / 2, (0, 10, 1.35, 5, math.pi))
    without, _ = look(renderer, 9.5, 5, math.pi / 2)
    assert 50 < seen[0] < 2000
    assert (frame[:, :45] == without[:, :45]).all() and (frame[:, 70:] != without[:, 70:]).mean() > 0.3


def test_every_reachable_direction_shows_something() -> None:
    """On edges between rooms and in corners: no crash, and nothing is left undrawn."""
    plan = SIGN_ROOM
    renderer = Renderer(compile_scene(plan, []))
    spots = [(x, z, d) for x in (0, 3, 6, 10) for z in (0, 6.5, 6.625, 6.75, 13) for d in (0, 1, math.pi / 4)]
    frames, _ = renderer.render(np.array(spots, float), np.zeros((len(spots), 0), int), np.zeros((len(spots), 0, 4)))
    assert frames.shape == (len(spots), 60, 80, 3)


def test_samples_are_spread_evenly() -> None:
    assert np.allclose(np.diff(SAMPLES[:, 0]), 0.25) and sorted(SAMPLES[:, 1]) == [0.125, 0.375, 0.625, 0.875]
    with pytest.raises(ValueError, match="frames of 81 x 60 pixels: both must be even"):
        make_camera(81, 60)


def test_a_tint_scales_the_channels_of_a_texture() -> None:
    plain, tinted = load_image("wood"), load_image("wood@green")
    assert (tinted == np.round(plain * np.array([0.5, 0.85, 0.45]))).all() and tinted.dtype == np.uint8
    with pytest.raises(ValueError, match="there is no tint 'pink': choose one of red, yellow, green"):
        load_image("wood@pink")


def test_blended_textures_are_trilinear_filtering() -> None:
    table = build_blended(["floor_tiles_bw"])
    levels = mip_chain(load_image("floor_tiles_bw"))
    assert [level.shape[0] for level in levels] == [512, 256, 128, 64, 32, 16, 8, 4, 2, 1]
    assert (table.width[0, : FINEST * STEPS + 1] == 256).all() and table.width[0, FINEST * STEPS + STEPS] == 128
    step = 4 * STEPS + STEPS // 4
    width = table.width[0, step]
    texels = table.texels[table.offset[0, step] :][: (width + 1) ** 2].reshape(width + 1, width + 1)
    red = (texels & (1 << 21) - 1) / PRECISION
    fine, coarse = levels[4][..., 0].astype(float), levels[5][..., 0].astype(float)
    # Node (3, 5) lies on fine texel (1, 2), and a quarter of the way between coarse ones 0 and 1, and 1 and 0.
    mixed = 0.75 * fine[1, 2] + 0.25 * (
        0.75 * (0.25 * coarse[0, 0] + 0.75 * coarse[0, 1]) + 0.25 * (0.25 * coarse[1, 0] + 0.75 * coarse[1, 1])
    )
    assert red[3, 5] == pytest.approx(mixed, abs=1 / PRECISION)
    assert (texels[-1] == texels[0]).all() and (texels[:, -1] == texels[:, 0]).all()


def test_meshes_are_read_as_they_are() -> None:
    key = models.mesh("key_blue", 0.6)
    assert len(key.sides) == 208 and key.corners[..., 1].min() == pytest.approx(0)
    assert key.corners[..., 1].max() == pytest.approx(0.6)
    assert (key.colours == [0, 0, 1]).all() and key.radius == pytest.approx(0.7355, abs=1e-4)
    assert len(models.mesh("ball_red", 0.6).sides) == 5192
    assert models.mesh("barrel", 1.0).textures[0].endswith("barrel.png")


def test_an_agent_is_stopped_by_walls_and_things() -> None:
    obstacles = make_obstacles([SIGN_ROOM], np.array([[[5.0, 3.0]]]), [0.5])
    assert len(obstacles.barriers) == 11  # as many as MiniWorld makes
    east, north, here = 0.0, math.pi / 2, np.zeros(5, np.int64)
    pose = np.array([[9.5, 1.0, east], [8.5, 1.0, east], [5.0, 4.5, north], [5.0, 4.7, north], [7.0, 6.0, -north]])
    start = pose.copy()
    move(pose, np.zeros(5), np.full(5, 0.7), obstacles, here)
    assert np.allclose(pose - start, [[0, 0, 0], [0.7, 0, 0], [0, 0, 0], [0, -0.7, 0], [0, 0, 0]])
    move(pose, np.full(5, 0.25), np.zeros(5), obstacles, here)
    assert np.allclose(pose[:, 2] - start[:, 2], 0.25) and AGENT_RADIUS == 0.4


def test_each_agent_meets_the_obstacles_of_its_own_world() -> None:
    plans = [worlds.four_rooms(), SIGN_ROOM]
    things = np.array([[[5.0, 3.0]], [[5.0, 1.0]]])
    obstacles = make_obstacles(plans, things, [0.5])
    generator = np.random.default_rng(0)
    world, pose = generator.integers(2, size=400), generator.uniform((0, 0, 0), (10, 13, 6.3), (400, 3))
    alone = pose.copy()
    move(pose, np.zeros(400), np.full(400, 0.7), obstacles, world)
    for number, plan in enumerate(plans):
        rows = world == number
        moved, only = alone[rows], make_obstacles([plan], things[[number]], [0.5])
        move(moved, np.zeros(len(moved)), np.full(len(moved), 0.7), only, np.zeros(len(moved), np.int64))
        assert (moved == pose[rows]).all() and (moved != alone[rows]).any() and (moved == alone[rows]).all(1).any()


def test_a_maze_has_one_way_between_any_two_cells() -> None:
    plan = worlds.maze(4, 5, np.random.default_rng(3))
    doors = [opening.neighbour for room in plan.rooms[:20] for wall in room.openings for opening in wall]
    assert len(plan.rooms) == 20 + 19 and len(doors) == 2 * 19 and min(doors) >= 20


def test_frames_of_a_batch_of_worlds_are_those_of_each_world_alone() -> None:
    """Worlds of other rooms, openings, heights and textures, in one batch in random order, on two threads."""
    tall = Floorplan()
    tall.add_rectangle((0, 10), (0, 10), wall="marble", floor="wood", ceiling=None, height=4.0)
    plans = [worlds.four_rooms(), layout_of("sign", "walls").floorplan(), tall, SIGN_ROOM]
    things = [models.box("red"), models.text_sign("A", 1.0), models.mesh("barrel", 1.0)]
    generator = np.random.default_rng(0)
    world = generator.integers(4, size=64)
    pose = generator.uniform((0, 0, 0), (9, 9, 6.3), (64, 3))
    numbers = generator.integers(-1, 3, (64, 3))
    places = generator.uniform((0, 0, 0, 0), (9, 2, 9, 6.3), (64, 3, 4))
    frames, seen = Renderer(compile_worlds(plans, things), threads=2).render(pose, numbers, places, world)
    assert len({frame.tobytes() for frame in frames}) == 64
    for number, plan in enumerate(plans):
        rows = world == number
        alone, pixels = Renderer(compile_scene(plan, things)).render(pose[rows], numbers[rows], places[rows])
        assert (alone == frames[rows]).all() and (pixels == seen[rows]).all()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: models.box("pink"), "unknown colour 'pink': choose one of red, green"),
        (lambda: models.mesh("spoon", 1), "there is no mesh 'spoon'"),
        (lambda: one_room(wall="velvet"), "there is no texture 'velvet'"),
        (lambda: Room(np.array([[0, 0], [0, 1], [1, 1], [1, 0]])), None),
        (lambda: Room(np.array([[0, 0], [1, 0], [1, 1], [0, 1]])), "a room must be convex, its corners counter-cl"),
        (lambda: worlds.four_rooms().connect(0, 1, x=(0, 1), z=(0, 1)), "give either x or z"),
        (lambda: worlds.four_rooms().connect(0, 1, z=(0, 5)), "an opening from 0 to 5 is not within its wall"),
        (lambda: worlds.four_rooms().connect(0, 2, z=(3, 5)), None),
        (lambda: Renderer(compile_scene(SIGN_ROOM, []), threads=0), "threads is 0"),
        (lambda: one_room().render(np.zeros((1, 2)), NOTHING, NOWHERE), r"give \(B, 3\), \(B, E\) and \(B, E, 4\)"),
        (lambda: look(one_room(), 1, 1, 0, (0, 1, 0, 1, 0)), "model 0 does not exist: this world has models 0 to -1"),
        (lambda: look(one_room(), 1, math.nan, 0), "not finite"),
        (lambda: compile_worlds([], []), "no worlds to compile"),
        (lambda: one_room().render(np.zeros((1, 3)), NOTHING, NOWHERE, np.array([1])), "give .1,. numbers from 0 to 0"),
    ],
)
def test_nonsense_is_refused(build, message: str | None) -> None:
    if message is None:
        return
    with pytest.raises(ValueError, match=message):
        build()


def test_nothing_of_it_opens_opengl() -> None:
    """The package whose files are read is never imported."""
    code = "import sys; from dream.envs import make; make('sign', 2).reset(seed=0); print('miniworld' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert found.stdout.strip() == "False"
