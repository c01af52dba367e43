"""`kitchen`: rules against a slow copy of them, frames, splits, part-way starts, bounds, scripts and words."""

import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dream.envs import make
from dream.envs.kitchen.family import HORIZON, LONGEST_DISH, LONGEST_TOUR, Kitchen
from dream.envs.kitchen.guess import guessing_chance
from dream.envs.kitchen.layout import (
    COLLECTIONS,
    CONTAINERS,
    GRID,
    HEADINGS,
    INGREDIENTS,
    NOTHING,
    POT,
    KitchenLayout,
    kitchen,
    kitchens,
)
from dream.envs.kitchen.planning import (
    END,
    FORWARD,
    LEFT,
    RIGHT,
    USE,
    longest_steps,
    optimal_steps,
    starts_of,
    toward,
    walks_of,
)
from dream.envs.kitchen.problems import VARIANTS, held_out
from dream.envs.kitchen.reading import hands, pots
from dream.envs.kitchen.scripts import KitchenExpert
from dream.envs.kitchen.view import ICON, View, icons


def small(members: int = 2, **parameters: object) -> Kitchen:
    env = make("kitchen", members, **{"kitchens": 8, **parameters})
    assert isinstance(env, Kitchen)
    return env


class Blind:
    """In place of a `View` where frames do not matter: drawing is most of the time of a step."""

    def frames(self, kitchen: np.ndarray, *state: np.ndarray) -> np.ndarray:
        return np.zeros((len(kitchen), 60, 80, 3), np.uint8)


def blind(members: int, **parameters: object) -> Kitchen:
    """A kitchen without frames."""
    env = small(members, **parameters)
    env.view = Blind()  # type: ignore[assignment]
    return env


def likely(rng: np.random.Generator, members: int) -> np.ndarray:
    """Random actions that often use things."""
    return rng.choice([LEFT, RIGHT, FORWARD, USE], size=members, p=[0.2, 0.15, 0.3, 0.35])


Key = tuple[int, int, int, int, int, int]


class Slow:
    """The rules for one member, cell by cell, without tables."""

    def __init__(self, layout: KitchenLayout, contents: np.ndarray, wanted: np.ndarray, state: Key) -> None:
        self.layout, self.contents, self.wanted = layout, contents.tolist(), wanted.tolist()
        self.free = set(layout.floor())
        self.state = state

    @property
    def state(self) -> Key:
        """x, z, heading, what is open, hand and pot."""
        return self.x, self.z, self.heading, self.opened, self.hand, self.pot

    @state.setter
    def state(self, state: Key) -> None:
        self.x, self.z, self.heading, self.opened, self.hand, self.pot = state

    def front(self) -> int:
        """The thing that is used from here."""
        x, z = self.x + HEADINGS[self.heading][0], self.z + HEADINGS[self.heading][1]
        for thing, place in self.layout.places.items():
            looks_here = HEADINGS[place.heading] == (self.x - x, self.z - z)
            if (place.x, place.z) == (x, z) and looks_here:
                return thing
        return -1

    def step(self, action: int) -> tuple[str, float]:
        """Moves; how an execution ends by it, if it does, and its shaped reward, but for the steps that are left."""
        needed = self.wanted[self.pot != NOTHING]
        if action == LEFT:
            self.heading = (self.heading + 1) % 4
        elif action == RIGHT:
            self.heading = (self.heading - 1) % 4
        elif action == FORWARD:
            x, z = self.x + HEADINGS[self.heading][0], self.z + HEADINGS[self.heading][1]
            if 0 <= x < self.layout.width and 0 <= z < self.layout.depth and GRID * z + x in self.free:
                self.x, self.z, self.opened = x, z, -1
        elif action == USE and (thing := self.front()) == POT:
            if self.hand != NOTHING:
                before, self.pot, self.hand = self.pot, self.hand, NOTHING
                if self.pot != needed:
                    return "spoilt", -0.35
                return "" if before == NOTHING else "dish", 0.25
        elif action == USE and thing >= 0:
            if self.opened != thing:
                self.opened = thing
                return ("", -0.1) if self.contents[thing] == needed else ("wrong", -0.35)
            if self.hand == NOTHING:
                self.hand = self.contents[thing]
                return "", 0.25 if self.hand == needed else -0.35
            back, self.hand = self.hand, NOTHING
            return "", -0.45 if back == needed else -0.1
        return "", -0.1


def slow(env: Kitchen, member: int) -> Slow:
    """A copy of a member at the start of its episode."""
    x, z, heading = (int(number) for number in env.scene()["pose"][member])
    state = (x, z, heading, *(int(array[member]) for array in env.state[1:]))
    return Slow(env.kitchen_layout(env.problem_id[member]), env.contents[member], env.instruction[member], state)


def step_both(env: Kitchen, copies: list[Slow], actions: np.ndarray) -> list[str]:
    """A step of the members that still act and of their copies: state, reward and end must agree; the ends."""
    acting, ends = np.flatnonzero(env.active), []
    _, reward, terminated, truncated, _ = env.step(actions)
    scene, left = env.scene(), env.horizon - env.elapsed
    for n in acting:
        one = copies[n]
        how, expected = one.step(int(actions[n]))
        assert one.state == (*scene["pose"][n], *(scene[name][n] for name in ("opened", "hand", "pot")))
        assert scene["shown"][n] == (one.opened if one.opened >= 0 and one.front() == one.opened else -1)
        over = how != "" or actions[n] == END
        assert terminated[n] == over and truncated[n] == (left[n] == 0 and not over)
        if not env.shaped and env.training and env.training_rewards == "progress":
            expected = {0.25: 0.25, -0.45: -0.25}.get(expected, 0.0)
        elif not env.shaped:
            expected = float(how == "dish")
        elif over and how != "dish":
            expected -= 0.1 * left[n]
        assert reward[n] == pytest.approx(expected, abs=1e-5)
        ends.append(how)
    return ends


@pytest.mark.parametrize(("shaped", "in_training"), [(False, "sparse"), (True, "progress"), (False, "progress")])
def test_random_play_follows_the_rules(shaped: bool, in_training: str) -> None:
    """In executions that start part-way, so that dishes are finished, with an expert that is sometimes wrong."""
    env, rng = blind(96, shaped=shaped, training_rewards=in_training, training_horizon=50), np.random.default_rng(0)
    env.training, ends = True, []
    for seed in range(3):
        env.reset(seed=seed)
        swapped = np.where((np.arange(96) % 3 == 0)[:, None], env.instruction[:, ::-1], env.instruction)
        expert, copies = env.expert(env.problem_id, swapped), [slow(env, n) for n in range(96)]
        while env.active.any():
            random = rng.random(96) < 0.4
            ends += step_both(env, copies, np.where(random, likely(rng, 96), expert.act(env.last_obs)))
    assert ends.count("dish") > 50 and ends.count("wrong") > 50


@pytest.mark.parametrize("shaped", [False, True])
def test_what_is_still_open_beside_the_pot_can_spoil_the_dish(shaped: bool) -> None:
    """Take, put back, take, into the pot, take the same again, put it back, take it, into the pot."""
    env = blind(1, shaped=shaped)
    kept, contents = env.walks.kept[np.arange(160) // 20], env.problems.factor_table[:160]
    problem, kind = next((n, k) for n, k in np.argwhere(kept) if len(set(contents[n]) - {NOTHING}) > 1)
    first = contents[problem, kind]
    second = next(item for item in contents[problem] if item not in (first, NOTHING))
    env.reset(seed=0, options={"problem_id": np.array([problem]), "instruction": np.array([[first, second]])})
    copies, ends = [slow(env, 0)], []
    for thing in (kind, kind, kind, kind, POT, kind, kind, kind, POT):
        used = False
        while not used:
            action = toward(env.walks, env.kitchen, env.state.pose, np.array([thing]))
            used = action[0] == USE
            ends += step_both(env, copies, action)
    assert ends[-1] == "spoilt" and not any(ends[:-1])


def test_ending_early_costs_the_steps_that_are_left_with_shaped_rewards_only() -> None:
    for shaped in (False, True):
        env = blind(4, shaped=shaped)
        env.reset(seed=0)
        env.step(np.full(4, LEFT))
        _, reward, terminated, _, _ = env.step(np.full(4, END))
        assert terminated.all() and reward == pytest.approx(-0.1 * (env.horizon - 2 + 1) * shaped, abs=1e-6)


def test_exploring_never_ends_at_pot_or_container_and_gives_nothing() -> None:
    env, rng = blind(64, part_way=1.0), np.random.default_rng(1)
    env.training = True
    env.reset(seed=0, options={"phase": "explore"})
    assert (env.state.hand == NOTHING).all() and (env.state.pot == NOTHING).all()
    potted, opened = np.zeros(64, bool), np.zeros(64, bool)
    for step in range(1, env.horizon + 1):
        _, reward, terminated, truncated, _ = env.step(likely(rng, 64))
        potted |= env.state.pot < NOTHING
        opened |= (env.shown >= 0) & ~(env.contents[np.arange(64), env.shown][:, None] == env.instruction).any(axis=1)
        assert not reward.any() and not terminated.any() and truncated.all() == (step == env.horizon)
    assert potted.any() and opened.any()


# Kitchens and splits


@pytest.mark.parametrize(
    ("collection", "digest"),
    [("train", "a595dfb365012078"), ("validation", "5ae17daf60a91d92"), ("test", "1cb41e11f3b052b4")],
)
def test_the_kitchens_are_exactly_these(collection: str, digest: str) -> None:
    assert hashlib.sha256(repr(list(kitchens(collection))).encode()).hexdigest()[:16] == digest


def test_everything_in_a_kitchen_is_reached_and_stands_at_a_wall() -> None:
    layouts = [kitchen(collection, n) for collection in COLLECTIONS for n in range(50)]
    walks = walks_of(tuple(layouts))
    for number, layout in enumerate(layouts):
        starts = starts_of(walks, number)
        assert 4 <= layout.width <= 6 and 4 <= layout.depth <= 6 and 4 <= len(layout.containers) <= 6
        assert (walks.distance[number][list(layout.places)][:, starts] < 30).all()
        cells = [place.cell for place in layout.places.values()]
        assert len(set(cells)) == len(cells) and not set(cells) & set((starts // 4).tolist())
        for place in layout.places.values():
            x, z = HEADINGS[place.heading]
            behind = (place.x - x, place.z - z)
            assert behind[0] in (-1, layout.width) or behind[1] in (-1, layout.depth)


def test_no_kitchen_is_in_two_collections() -> None:
    every = [
        (one.width, one.depth, one.things, one.island) for collection in COLLECTIONS for one in kitchens(collection)
    ]
    assert len(set(every)) == len(every) == 1250


@pytest.mark.parametrize("variant", VARIANTS)
def test_splits_hold_out_kitchens_contents_or_both(variant: str) -> None:
    env = make("kitchen", 1, variant=variant)
    assert isinstance(env, Kitchen)
    problems = env.problems
    train, validation, test = (problems.ids(split) for split in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (20_000, 500, 2_000) and problems.validates
    table, where = problems.factor_table, np.array([hash(env.kitchen_layout(n)) for n in problems.ids("all")])
    assert not held_out(table[train]).any() and not held_out(table[validation]).any()
    assert held_out(table[test]).all() == (variant != "kitchens") == held_out(table[test]).any()
    assert not np.isin(where[validation], where[train]).any()
    assert (
        np.isin(where[test], where[train]).all() == (variant == "contents") == np.isin(where[test], where[train]).any()
    )
    assert len(np.unique(np.column_stack([where, table]), axis=0)) == len(table)
    for n in (0, 19_999, 20_000, len(table) - 1):
        layout = env.kitchen_layout(n)
        assert [kind for kind in range(len(CONTAINERS)) if table[n, kind] < NOTHING] == layout.containers
    assert 0.15 < held_out(np.random.default_rng(0).integers(6, size=(9999, 6))).mean() < 0.25


def test_fewer_kitchens_are_the_first_ones() -> None:
    few, many = small(kitchens=8), make("kitchen", 1)
    assert len(few.problems.ids("train")) == 160
    assert (few.problems.factor_table[:160] == many.problems.factor_table[:160]).all()
    assert (few.problems.factor_table[160:] == many.problems.factor_table[20_000:]).all()
    hashes = {
        small(**p).problems.hash for p in ({}, {"kitchens": 9}, {"shaped": True}, {"variant": "both"}, {"horizon": 90})
    }
    assert len(hashes) == 5


# Frames


def states(rng: np.random.Generator, layouts: list[KitchenLayout], many: int) -> list[np.ndarray]:
    """Arguments of `View.frames`, half of them before an open container."""
    walks = walks_of(tuple(layouts))
    where = rng.integers(len(layouts), size=many)
    pose = np.array([rng.choice(starts_of(walks, n)) for n in where])
    opened = np.full(many, -1)
    for n in range(0, many, 2):
        kind = rng.choice(layouts[where[n]].containers)
        pose[n], opened[n] = walks.access[where[n], kind], kind
    return [where, pose, opened, *(rng.integers(high, size=many) for high in (NOTHING, NOTHING + 1, NOTHING + 1))]


def test_a_batch_of_kitchens_is_each_kitchen_alone() -> None:
    layouts = list(kitchens("train", 5))
    given = states(np.random.default_rng(0), layouts, 60)
    together = View(layouts).frames(*given)
    assert len(np.unique(together.reshape(60, -1), axis=0)) > 40
    for number, layout in enumerate(layouts):
        rows = np.flatnonzero(given[0] == number)
        alone = View([layout]).frames(np.zeros(len(rows), int), *(array[rows] for array in given[1:]))
        assert len(rows) > 3 and (alone == together[rows]).all()


def test_open_containers_show_which_ingredient_they_hold_in_any_kitchen() -> None:
    """The nearest mean of some kitchens, in the middle of the frame, names the ingredient in others."""
    layouts, nothing = list(kitchens("train", 12)), NOTHING
    walks, view = walks_of(tuple(layouts)), View(layouts)
    cases = [(n, kind, item) for n, one in enumerate(layouts) for kind in one.containers for item in range(6)]
    where, kind, item = np.array(cases).T
    rest = np.full(len(cases), nothing)
    frames = view.frames(where, walks.access[where, kind], kind, item, rest, rest).astype(float)
    middle = frames[:, 12:48, 20:60]
    learned = where < 6
    templates = {(k, i): middle[learned & (kind == k) & (item == i)].mean(axis=0) for k in range(6) for i in range(6)}
    guesses = [
        min(range(6), key=lambda i: float(((one - templates[k, i]) ** 2).sum()))
        for one, k in zip(middle[~learned], kind[~learned], strict=True)
    ]
    assert (np.array(guesses) == item[~learned]).all()
    same = (where[:, None] == where) & (kind[:, None] == kind) & (item[:, None] < item)
    first, second = np.nonzero(same)
    different = np.abs(frames[first] - frames[second]).max(axis=3) > 40
    assert different.sum(axis=(1, 2)).min() > 60  # pixels


def test_closed_containers_look_different_and_hide_what_they_hold() -> None:
    layout = next(one for one in kitchens("train") if len(one.containers) == 6)
    view, walks = View([layout]), walks_of((layout,))
    zeros, none, nothing = np.zeros(6, int), np.full(6, -1), np.full(6, NOTHING)
    frames = view.frames(zeros, walks.access[0, :POT], none, zeros, nothing, nothing)
    assert (frames == view.frames(zeros, walks.access[0, :POT], none, zeros + 3, nothing, nothing)).all()
    colours = frames[:, 30:55, 28:52].astype(float).mean(axis=(1, 2))
    apart = np.linalg.norm(colours[:, None] - colours, axis=2) + 999 * np.eye(6)
    assert apart.min() > 15


def test_corners_show_what_hand_and_pot_hold() -> None:
    layouts = list(kitchens("train", 3))
    given = states(np.random.default_rng(1), layouts, 80)
    frames = View(layouts).frames(*given)
    assert (hands(frames) == given[4]).all() and (pots(frames) == given[5]).all()
    empty = View(layouts).frames(*given[:4], np.full(80, NOTHING), np.full(80, NOTHING))
    assert (frames[:, :-ICON] == empty[:, :-ICON]).all() and (hands(empty) == NOTHING).all()
    pictures = icons().astype(float)
    apart = np.abs(pictures[:, None] - pictures).mean(axis=(2, 3, 4)) + 999 * np.eye(6)
    assert pictures.shape == (6, ICON, ICON, 3) and apart.min() > 10


# Horizon and starts


def test_the_longest_ways_fit_into_the_horizon() -> None:
    some = [kitchen("train", n) for n in (39, 19)] + list(kitchens("validation", 5))
    assert longest_steps(some) == (LONGEST_TOUR, LONGEST_DISH)
    assert small().horizon == HORIZON > LONGEST_DISH > LONGEST_TOUR


@pytest.mark.slow
def test_no_kitchen_needs_longer_ways() -> None:
    assert longest_steps([one for collection in COLLECTIONS for one in kitchens(collection)]) == (
        LONGEST_TOUR,
        LONGEST_DISH,
    )


def test_only_training_starts_part_way() -> None:
    env = blind(300, training_rewards="sparse", training_horizon=50)
    env.reset(seed=0)
    assert (env.state.hand == NOTHING).all() and (env.state.pot == NOTHING).all()
    env.training = True
    env.reset(seed=1)
    (hand, pot), (first, second) = env.state[2:], env.instruction.T
    kinds = [
        (hand == NOTHING) & (pot == NOTHING),
        (hand == first) & (pot == NOTHING),
        (hand == NOTHING) & (pot == first),
        (hand == second) & (pot == first),
    ]
    assert np.sum(kinds, axis=0).tolist() == [1] * 300 and np.sum(kinds, axis=1).min() > 25
    # what to open is asked in front of wrong containers too
    faced = env.walks.faced[env.kitchen, env.state.pose]
    asked = (hand == NOTHING) & (faced >= 0) & (faced < POT)
    right = env.contents[np.arange(300), np.minimum(faced, POT - 1)] == np.where(pot == NOTHING, first, second)
    assert (env.state.opened[asked & ~right] == -1).all() and (asked & ~right).sum() > 40 and (asked & right).sum() > 20
    total, steps = played(env, env.expert(env.problem_id, env.instruction))
    assert (total == 1).all()
    # a quarter of the starts are ordinary ones, the others are spread evenly over the steps of their ways
    assert np.quantile(steps, [0.1, 0.4, 0.8]) == pytest.approx([3, 10, 23], abs=3) and steps.min() == 1
    never = blind(50, part_way=0.0)
    never.training = True
    never.reset(seed=0)
    assert (never.state.hand == NOTHING).all() and (never.state.pot == NOTHING).all()


@pytest.mark.parametrize(
    ("training", "phase", "steps"), [(True, "execute", 7), (True, "explore", 50), (False, "execute", 50)]
)
def test_only_executions_of_training_are_shorter(training: bool, phase: str, steps: int) -> None:
    env = blind(3, training_horizon=7)
    env.training = training
    env.reset(seed=0, options={"phase": phase})
    for step in range(1, steps + 1):
        _, _, terminated, truncated, _ = env.step(np.full(3, LEFT))
        assert not terminated.any() and truncated.tolist() == [step == steps] * 3


# Bounds and scripts


def played(env: Kitchen, policy: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return and steps of each member of an episode that was just reset."""
    obs, total, steps = env.last_obs, np.zeros(env.num_envs), np.zeros(env.num_envs, int)
    while env.active.any():
        obs, reward, _, _, info = env.step(policy.act(obs))
        total += reward
        steps += info["active"]
    return total, steps


def search(one: Slow, horizon: int) -> float:
    """The most shaped return from where a copy is, over all actions in all states."""
    start, ways, todo = one.state, {}, [one.state]
    while todo:
        state = todo.pop()
        ways[state] = []
        for action in (LEFT, RIGHT, FORWARD, USE):
            one.state = state
            how, reward = one.step(action)
            ways[state].append((how, reward, one.state))
            if how == "" and one.state not in ways:
                ways[one.state] = []
                todo.append(one.state)
    value = dict.fromkeys(ways, 0.0)
    for left in range(horizon):
        value = {
            state: max(
                reward + (value[then] if how == "" else -0.1 * left * (how != "dish")) for how, reward, then in after
            )
            for state, after in ways.items()
        }
    return value[start]


def test_the_expert_is_as_good_as_a_search_over_single_actions() -> None:
    env = blind(16, shaped=True)
    env.reset(seed=3, options={"problem_id": np.arange(16) * 9 % 160})
    copies = [slow(env, n) for n in range(16)]
    total = played(env, env.expert(env.problem_id, env.instruction))[0]
    assert total == pytest.approx([search(one, env.horizon) for one in copies], abs=1e-5)


def test_no_other_play_is_better_than_the_longest_dish() -> None:
    """Shaped: such as to take something and to put it back until the horizon."""
    layout, wanted = kitchen("train", 39), np.array([0, 1])
    walks = walks_of((layout,))
    starts, zero = starts_of(walks, 0), np.zeros(1, int)
    longest = 0
    for a, b in itertools.permutations(layout.containers, 2):
        contents = np.array([[0 if kind == a else 1 if kind == b else 2 for kind in range(len(CONTAINERS))]])
        for pose in starts:
            steps = int(optimal_steps(walks, zero, contents, wanted[None], np.array([pose]))[0])
            if steps > longest:
                longest, hardest, at = steps, contents[0], int(pose)
    cell, heading = divmod(at, 4)
    one = Slow(layout, hardest, wanted, (cell % GRID, cell // GRID, heading, -1, NOTHING, NOTHING))
    assert longest > 40 and search(one, LONGEST_DISH) == pytest.approx(1 - 0.1 * (longest - 4))


def test_the_expert_cooks_from_every_start_of_a_kitchen() -> None:
    starts = starts_of(blind(1).walks, 1)
    env = blind(6 * len(starts))
    ids = np.tile(20 + np.arange(6), len(starts))
    env.reset(seed=0, options={"problem_id": ids})
    assert set(env.state.pose) == set(starts.tolist())
    fewest = optimal_steps(env.walks, env.kitchen, env.contents, env.instruction, env.state.pose)
    total, steps = played(env, env.expert(ids, env.instruction))
    assert (total == 1).all() and (steps == fewest).all()
    assert (env.optimal_return(ids, env.instruction) == 1).all()


def test_the_shaped_return_of_the_expert_is_on_average_the_optimum() -> None:
    env = blind(400, shaped=True)
    ids = np.full(400, 33)
    wanted = np.tile(env.sample_instruction(ids[:1], np.random.default_rng(2)), (400, 1))
    env.reset(seed=0, options={"problem_id": ids, "instruction": wanted})
    total, steps = played(env, env.expert(ids, wanted))
    assert total == pytest.approx(1 - 0.1 * (steps - 4), abs=1e-5)
    assert total.mean() == pytest.approx(env.optimal_return(ids[:1], wanted[:1])[0], abs=0.06)
    with pytest.raises(NotImplementedError, match="sparse reward only"):
        env.no_exploration_return()


def test_with_a_wrong_belief_the_episode_just_ends() -> None:
    env = blind(200)
    env.reset(seed=0)
    wrong = np.random.default_rng(0).permutation(env.problem_id)
    contents, believed = env.contents, env.problems.factor_table[wrong]
    there = contents < NOTHING
    needs = env.instruction[:, :, None]
    possible = ((believed[:, None] == needs) & there[:, None]).any(axis=2).all(axis=1)
    misled = possible & ~((believed[:, None] == needs) & (contents[:, None] == needs)).any(axis=2).all(axis=1)
    total, steps = played(env, env.expert(wrong, env.instruction))
    assert (~possible).any() and (steps[~possible] == 1).all()  # by the end action
    assert misled.sum() > 50 and not total[misled].any() and (steps[misled] <= LONGEST_DISH).all()


def test_the_explorer_opens_every_container_and_ends() -> None:
    env = small(64)
    obs, _ = env.reset(seed=0, options={"phase": "explore"})
    explorer, log, start = env.scripted_explorer(64), [], obs
    while env.active.any():
        before = env.active.copy()
        action = explorer.act(obs)
        obs, _, terminated, _, _ = env.step(action)
        log.append((obs, action, before, env.scene()["shown"], terminated, env.informative()))
    frames, actions, mask, shown, terminated, informed = (np.stack(each, axis=1) for each in zip(*log, strict=True))
    assert (terminated.sum(axis=1) == 1).all() and (informed.any(axis=1)).all()
    assert not informed[:, 0].any()
    many = [len(env.kitchen_layout(n).containers) for n in env.problem_id]
    first = np.concatenate([start[:, None], frames], axis=1)
    summary = env.exploration_summary(env.problem_id, first, actions, mask)
    assert summary["containers_opened"].tolist() == many == summary["uses"].tolist()
    for n in range(4):
        scene = {"shown": np.concatenate([[-1], shown[n]])}
        known = env.revealed(int(env.problem_id[n]), first[n], actions[n], scene)
        missing = env.contents[n] == NOTHING
        assert known.shape == (len(first[n]), 6) and known.any(axis=0).all() and (known[0] == missing).all()
        assert (env.revealed(int(env.problem_id[n]), first[n], actions[n], {}) == known).all()  # read off the frames
    with pytest.raises(ValueError, match="an explorer for 3 members"):
        env.scripted_explorer(3)
    with pytest.raises(ValueError, match="problem_id 99999 does not exist"):
        env.expert(np.full(64, 99999), np.zeros((64, 2), int))


@pytest.mark.parametrize("containers", [4, 5, 6])
def test_the_bound_without_exploration_counts_all_contents_and_instructions(containers: int) -> None:
    """For each instruction the best of all pairs of containers to open."""
    contents = np.array(list(itertools.product(range(6), repeat=containers)))
    holds = (contents[:, :, None] == np.arange(6)).astype(float)  # (contents, container, ingredient)
    share, total = holds.mean(axis=1), 0.0
    for first, second in itertools.product(range(6), repeat=2):
        chance = share[:, first] * share[:, second] / len(contents)
        total += ((chance[:, None] * holds[:, :, first]).T @ holds[:, :, second]).max()
    assert guessing_chance(np.array([containers])) == pytest.approx([total], abs=1e-12)


def test_the_bound_without_exploration_is_what_guessing_scores() -> None:
    env = blind(1000, kitchens=200)
    order = np.argsort(env.problems.factor_table == NOTHING, axis=1, kind="stable")  # the containers that are there
    rows, score = np.arange(1000), 0.0
    for seed in range(2):
        env.reset(seed=seed, options={"problem_id": env.problems.ids("train")[2 * rows + seed]})
        first, second = env.instruction.T
        believed = np.full((1000, 6), NOTHING)
        believed[rows, order[env.problem_id, 1]] = np.where(first == second, NOTHING, second)
        believed[rows, order[env.problem_id, 0]] = first
        score += played(env, KitchenExpert(env, believed, env.instruction))[0].mean() / 2
    assert score == pytest.approx(env.no_exploration_return("train"), abs=0.03)


def test_instructions_come_from_containers() -> None:
    env = small(1)
    ids = np.full(4000, 25)
    drawn = env.sample_instruction(ids, np.random.default_rng(0))
    chance = env.instruction_probability(ids, drawn)
    every = np.stack(np.meshgrid(range(6), range(6)), axis=-1).reshape(-1, 2)
    chances = env.instruction_probability(np.full(36, 25), every)
    assert chances.sum() == pytest.approx(1) and (chance > 0).all()
    counts = np.array([(drawn == one).all(axis=1).mean() for one in every])
    assert counts == pytest.approx(chances, abs=0.03)
    lacking = next(item for item in range(6) if item not in env.problems.factor_table[25])
    with pytest.raises(ValueError, match="cannot be cooked in problem 25: its containers hold"):
        env.reset(options={"problem_id": np.array([25]), "instruction": np.array([[lacking, lacking]])})


# Words and pictures


def test_an_episode_in_words() -> None:
    env = small(1)
    env.reset(seed=0)
    problem, frames, actions = int(env.problem_id[0]), [env.last_obs[0]], []
    expert = env.expert(env.problem_id, env.instruction)
    while env.active.any():
        action = expert.act(env.last_obs)
        obs, *_ = env.step(action)
        frames.append(obs[0])
        actions.append(int(action[0]))
    told = env.tell(problem, np.array(frames), np.array(actions))
    first, second = (INGREDIENTS[item] for item in env.instruction[0])
    assert env.instruction_name(env.instruction[0]) == f"{first}, then {second}"
    events = [phrase for phrase in told if not phrase.startswith(("turned", "went"))]
    assert events[1:3] == [f"took {first}", f"put {first} into the pot"]
    assert events[-2:] == [f"took {second}", f"put {second} into the pot"]
    assert events[0].startswith("opened the ") and events[0].endswith(f": {first}")
    back = [np.array(frames)[[0, 0]], np.array([USE])]
    assert env.tell(problem, *back) == ["used nothing"]


def test_pictures_show_the_kitchen_and_hide_what_is_unknown() -> None:
    env = small(1)
    with pytest.raises(RuntimeError, match="before reset"):
        env.episode_picture()
    env.reset(seed=0, options={"problem_id": np.array([25])})
    picture = env.episode_picture(0)
    assert picture.shape == (400, 352, 3) and picture.dtype == np.uint8
    scene = {name: array[:1] for name, array in env.scene().items()}
    for given in ({}, scene):
        drawn = [
            env.draw(problem, "explore", env.last_obs[0], np.zeros(2, int), scene=given, known=np.full(6, known))[40:]
            for problem, known in ((25, True), (25, False), (26, False))
        ]
        assert (drawn[0] != drawn[1]).any() and (drawn[1] == drawn[2]).all()
    with pytest.raises(ValueError, match="member 1 does not exist"):
        env.episode_picture(1)


def test_the_same_seed_gives_the_same_episodes() -> None:
    def episode() -> Iterator[bytes]:
        env, rng = small(16), np.random.default_rng(5)
        env.training = True
        yield env.reset(seed=7)[0].tobytes()
        for _ in range(12):
            obs, reward, *_ = env.step(likely(rng, 16))
            yield obs.tobytes() + reward.tobytes()

    assert list(episode()) == list(episode())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kitchens": 0}, "kitchens is 0: give 1 to 1000"),
        ({"variant": "rooms"}, "unknown variant 'rooms': choose one of kitchens, contents, both"),
        ({"training_rewards": "dense"}, "unknown training_rewards 'dense': choose one of progress, sparse"),
        ({"training_horizon": 0}, "training_horizon is 0: give at least 1"),
        ({"part_way": 1.5}, "part_way is 1.5: give a share from 0 to 1"),
        ({"part_way": -0.1}, "part_way is -0.1: give a share"),
        ({"horizon": 45}, "horizon is 45: a dish can take 46 steps"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_what_does_not_exist_is_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**parameters)
    with pytest.raises(ValueError, match="unknown collection 'trian'"):
        kitchen("trian", 0)
    with pytest.raises(ValueError, match="kitchen 50 does not exist: validation has 0 to 49"):
        kitchen("validation", 50)
