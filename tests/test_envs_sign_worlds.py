"""Houses of `sign-worlds`: the same everywhere, fair tasks, split without overlap, and drawn in one batch."""

import hashlib
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from dream.envs import make
from dream.envs.base import PHASES
from dream.envs.sign import houses
from dream.envs.sign.compiled import obstacles_of
from dream.envs.sign.fast import FastBackend
from dream.envs.sign.houses import COLLECTIONS, Draws, house
from dream.envs.sign.layout import COLOURS, LAYOUTS
from dream.envs.sign.planning import straight_ways
from dream.envs.sign.worlds import VARIANTS, SignWorlds
from dream.envs.world3d.assets import TINTS
from dream.envs.world3d.floorplan import Floorplan
from dream.envs.world3d.motion import make_obstacles
from dream.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


def small(members: int = 2, **parameters: object) -> SignWorlds:
    env = make("sign-worlds", members, **{"worlds": 4, **parameters})
    assert isinstance(env, SignWorlds)
    return env


def test_draws_are_the_same_on_every_machine() -> None:
    draws = Draws(1, 2, 3)
    assert [draws.below(1000) for _ in range(5)] == [79, 470, 918, 636, 184]
    assert {Draws(n).length(1.0, 1.2) for n in range(99)} == {1.0, 1.05, 1.1, 1.15, 1.2}
    assert Draws(0).length(3.0, 2.0) == 3.0


@pytest.mark.parametrize(
    ("collection", "digest"),
    [
        ("train", "3fbc72684010219c"),
        ("validation", "3f5279bfeaf91d6f"),
        ("test", "2c4bad1c047a3fb0"),
        ("textures", "a8632e626ec6508d"),
        ("plans", "897e824d665bc2d8"),
    ],
)
def test_the_houses_are_exactly_these(collection: str, digest: str) -> None:
    found = repr(list(houses.houses(collection)))
    assert hashlib.sha256(found.encode()).hexdigest()[:16] == digest


def test_every_house_has_six_objects_in_its_rooms_and_an_episode_starts_beside_them() -> None:
    for collection in COLLECTIONS:
        for layout in houses.houses(collection):
            assert [(kind, colour) for kind, colour, _, _ in layout.objects] == list(LAYOUTS["sign"].kinds_and_colours)
            for _, _, x, z in layout.objects:
                assert any(
                    min(x - west, east - x, z - north, south - z) > houses.MARGIN - 1e-6
                    for (west, east), (north, south) in layout.rooms
                )
                aside = (
                    max(layout.start_x[0] - x, x - layout.start_x[1], 0),
                    max(layout.start_z[0] - z, z - layout.start_z[1], 0),
                )
                assert math.hypot(*aside) >= houses.FREE - 1e-9
            assert layout.sign[1] + layout.sign_height / 2 <= 2.74 and layout.sign[1] > layout.sign_height / 2


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_houses_are_fair_tasks(collection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of each collection, planned again."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "docs")])
    from draw_houses import fair, first_fair

    assert fair(house(collection, 1), 1)
    assert house(collection, 0) == house(collection, 0, first_fair(collection, 0))


def test_training_shows_neither_the_textures_nor_the_plans_of_the_tests() -> None:
    def looks(collection: str) -> list[set[str]]:
        every = list(houses.houses(collection))
        return [{getattr(one, f"{name}_texture") for one in every} for name in ("wall", "floor", "ceiling")]

    for trained, held in zip(looks("train"), looks("textures"), strict=True):
        assert len(trained) >= 4 and len(held) >= 2 and not trained & held
    for trained, tested in zip(looks("train"), looks("test"), strict=True):
        assert trained >= tested  # some tints of some floors are in no test house
        assert {name.partition("@")[0] for name in trained} == {name.partition("@")[0] for name in tested}
    assert not set(houses.SHAPES) & set(houses.OTHER_SHAPES)
    assert "brick_wall" not in looks("train")[0]  # of the variant `walls`
    tinted = ["@" in one.floor_texture for one in houses.houses("train")]
    assert np.mean(tinted) == pytest.approx(0.5, abs=0.05)
    assert {floor.partition("@")[2] for floor in looks("train")[1]} == {"", *TINTS}


def test_splits_are_disjoint_and_the_papers_world_is_in_none_of_training_or_validation() -> None:
    env = make("sign-worlds", 1, variant="paper")
    assert isinstance(env, SignWorlds)
    problems = env.problems
    sizes = {split: len(problems.ids(split)) for split in ("train", "validation", "test")}
    assert sizes == {"train": 3000, "validation": 150, "test": 3} and problems.validates
    assert env.layouts[problems.ids("test")[0] // 3] == LAYOUTS["sign"]
    assert env.layouts.count(LAYOUTS["sign"]) == 1 and len(set(env.layouts)) == len(env.layouts)
    assert problems.factors == (3,) and (problems.features(np.arange(6))[:, 0] == [0, 1, 2, 0, 1, 2]).all()
    hashes = {small(variant=variant).problems.hash for variant in VARIANTS} | {small(worlds=5).problems.hash}
    assert len(hashes) == len(VARIANTS) + 1
    houses_too = small(description="colour and house")
    assert houses_too.problems.factors == (3, len(houses_too.layouts))


def test_a_batch_of_houses_is_each_house_alone() -> None:
    """Frames, poses and touches of random play, in a batch of houses and in each house by itself."""
    layouts = [house("train", number) for number in range(3)] + [LAYOUTS["sign"]]
    rng, many = np.random.default_rng(0), 48
    world, colour = rng.integers(4, size=many), rng.integers(3, size=many)
    low = np.array([(one.start_x[0], one.start_z[0]) for one in layouts])[world]
    high = np.array([(one.start_x[1], one.start_z[1]) for one in layouts])[world]
    pose = np.concatenate([rng.uniform(low, high), rng.uniform(-3, 3, (many, 1))], axis=1)
    yaw, actions = rng.uniform(-3, 3, (many, 6)), rng.choice(3, size=(12, many), p=[0.15, 0.15, 0.7])
    together = FastBackend(many, *layouts)
    first = together.reset(colour, pose, yaw, world=world)
    steps = [together.step(action) for action in actions]
    assert any((step.touched >= 0).any() for step in steps)
    for number, layout in enumerate(layouts):
        rows = np.flatnonzero(world == number)
        alone = FastBackend(len(rows), layout)
        assert (alone.reset(colour[rows], pose[rows], yaw[rows]) == first[rows]).all()
        for action, step in zip(actions, steps, strict=True):
            found = alone.step(action[rows])
            assert (found.frames == step.frames[rows]).all() and (found.pose == step.pose[rows]).all()
            assert (found.touched == step.touched[rows]).all()


def test_the_papers_world_is_that_of_sign() -> None:
    """The same frames and rewards for the same actions."""
    there, here = make("sign", 2), small(variant="paper")
    ids = here.problems.ids("test")[[0, 2]]
    obs = [
        env.reset(seed=1, options={"problem_id": problem, "instruction": np.array([[0], [1]])})[0]
        for env, problem in ((there, np.array([0, 2])), (here, ids))
    ]
    assert (obs[0] == obs[1]).all()
    for action in ([2, 2], [2, 0], [1, 2], [2, 2]):
        one, other = there.step(np.array(action)), here.step(np.array(action))
        assert (one[0] == other[0]).all() and (one[1] == other[1]).all()


def test_scripts_read_the_sign_and_reach_the_object_in_test_houses() -> None:
    env = small(24)
    ids = env.problems.sample("test", 24, np.random.default_rng(0))
    obs, _ = env.reset(seed=0, options={"problem_id": ids, "phase": "explore"})
    explorer, read = env.scripted_explorer(24), np.zeros(24, bool)
    while env.active.any():
        obs, *_ = env.step(explorer.act(obs))
        read |= env.informative()
    assert read.all()
    obs, info = env.reset(options={"problem_id": ids})
    expert, total = env.expert(ids, info["instruction"]), np.zeros(24)
    while env.active.any():
        obs, reward, *_ = env.step(expert.act(obs))
        total += reward
    assert total.mean() > 0.95 and (total == env.optimal_return(ids, info["instruction"])).mean() > 0.95
    assert env.no_exploration_return("test") == 0.0


def test_words_and_pictures_are_of_the_house() -> None:
    env = small(1)
    env.reset(seed=0, options={"problem_id": np.array([4]), "phase": "explore"})
    assert env.world.tolist() == [1] and env.colour.tolist() == [1]
    assert env.parts()[0].labels[4] == 1 and env.parts()[0].values == COLOURS
    picture = env.episode_picture(0)
    env.reset(seed=0, options={"problem_id": np.array([7]), "phase": "explore"})
    assert picture.shape == (400, 352, 3) and (picture != env.episode_picture(0)).mean() > 0.1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"worlds": 0}, "worlds is 0: give 1 to 1000"),
        ({"worlds": 1001}, "worlds is 1001"),
        ({"part_way": 1.5}, "part_way is 1.5: give a share from 0 to 1"),
        ({"variant": "brick"}, "unknown variant 'brick': choose one of default, textures, plans, paper"),
        ({"description": "house"}, "unknown description 'house'"),
        ({"backend": "miniworld"}, "it has the paper's world only, so give variant=paper"),
    ],
)
def test_what_does_not_exist_is_refused(parameters: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**parameters)
    with pytest.raises(ValueError, match="unknown collection"):
        house("trian", 0)
    with pytest.raises(ValueError, match="house 50 does not exist: validation has 0 to 49"):
        house("validation", 50)


def outside(env: SignWorlds, pose: np.ndarray) -> np.ndarray:
    """Whether members are outside the start areas of their houses, (B,)."""
    low_x, high_x, low_z, high_z = np.array([(*env.layouts[n].start_x, *env.layouts[n].start_z) for n in env.world]).T
    return (pose[:, 0] < low_x) | (pose[:, 0] > high_x) | (pose[:, 1] < low_z) | (pose[:, 1] > high_z)


def test_only_episodes_of_training_start_elsewhere() -> None:
    env = small(400, part_way=0.5)
    for phase in PHASES:
        env.training = False
        env.reset(seed=0, options={"phase": phase})
        assert not outside(env, env.pose).any()
        env.training = True
        env.reset(seed=0, options={"phase": phase})
        assert 0.35 < outside(env, env.pose).mean() <= 0.55  # a few of those that are moved stand in the start area
        before = env.pose
        env.reset(options={"reset_mask": np.arange(400) < 200, "phase": phase})
        assert (env.pose[200:] == before[200:]).all() and outside(env, env.pose)[:200].any()
    never = small(50, part_way=0.0)
    never.training = True
    for phase in PHASES:
        never.reset(seed=0, options={"phase": phase})
        assert not outside(never, never.pose).any()


def test_executions_of_training_start_all_over_the_room_of_the_objects_and_touch_nothing() -> None:
    env = small(1000, part_way=1.0)
    env.training = True
    env.reset(seed=0, options={"phase": "execute"})
    for world in np.unique(env.world):
        here = env.pose[env.world == world, :2]
        low, high = np.transpose(env.layouts[world].rooms[0])
        assert ((here > low) & (here < high)).all()
        quarter = (here > (low + high) / 2) @ [1, 2]
        assert np.bincount(quarter, minlength=4).min() >= 0.02 * len(here)
    _, _, terminated, _, _ = env.step(np.zeros(1000, int))  # turning touches nothing that was not touched before
    assert not terminated.any()


def test_explorations_start_in_the_room_of_the_sign_and_on_the_way_and_touch_nothing() -> None:
    env = small(1000, part_way=1.0)
    env.training = True
    env.reset(seed=0, options={"phase": "explore"})
    for number in np.unique(env.world):
        (west, east), (north, south) = env.layouts[number].rooms[-1]
        x, z = env.pose[env.world == number, :2].T
        inside = (x > west) & (x < east) & (z > north) & (z < south)
        assert 0.3 < inside.mean() < 0.9
        # In its room they look at the sign
        legible = env.informative()[env.world == number]
        assert legible[inside].mean() > 0.6 and legible[~inside].mean() < 0.3
    things = env.worlds.obstacles.things[env.world]
    assert (np.hypot(*(things - env.pose[:, None, :2]).transpose(2, 0, 1)) > 0.4 + 0.77).all()
    _, _, terminated, _, _ = env.step(np.zeros(1000, int))  # turn
    assert not terminated.any()


def test_pairs_are_tested_in_every_world_of_their_family(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import held_out
    from dream.eval.pretrained import pretrained

    assert [test.get("variant") for test in held_out.TESTS["sign-worlds"]] == [None, *VARIANTS[1:], "paper"]
    monkeypatch.setattr(held_out, "TESTS", {"sign": [{}, {"variant": "walls"}]})
    rows = held_out.held_out(pretrained("sign"), trials=40)
    returns = {row["env"]: row["value"] for row in rows if row["metric"] == "return"}
    assert list(returns) == ["sign", "sign[variant=walls]"] and returns["sign"] > 0.8 > returns["sign[variant=walls]"]
    with pytest.raises(UserError, match=r"is a run on bus: give runs on sign"):
        held_out.held_out(pretrained("bus"), trials=1)


def test_straight_ways_touch_what_stands_in_front_of_their_object() -> None:
    """One of three objects north of the start is behind another; who looks away turns left until they are in view."""
    plan = Floorplan()
    plan.add_rectangle((0.0, 12.0), (0.0, 12.0))
    obstacles = make_obstacles([plan], np.array([[(6.0, 6.0), (6.0, 2.0), (1.0, 2.0)]]), [0.5, 0.5, 0.5])
    north, south = math.pi / 2, -math.pi / 2
    start = np.array([(6.0, 10.5, north), (6.0, 10.5, south)])
    assert straight_ways(obstacles, start, 30).tolist() == [[0, 0, 2]] * 2
    # (6, 6) is touched after 2.83 m: five steps, and four turns before them where it is behind
    for steps, touched in ((4, [-1, -1]), (5, [0, -1]), (8, [0, -1]), (9, [0, 0])):
        assert straight_ways(obstacles, start, steps)[:, 0].tolist() == touched


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_objects_are_hardly_in_the_way_of_each_other(collection: str) -> None:
    for layout in houses.houses(collection, 20):
        start = np.random.default_rng(0).uniform(
            *zip(layout.start_x, layout.start_z, (-3.1, 3.1), strict=True), (30, 3)
        )
        met = straight_ways(obstacles_of([layout], [layout.floorplan()]), start, 20)
        assert ((met >= 0) & (met != np.arange(6))).mean() < 0.15 and (met == np.arange(6)).mean() > 0.8
