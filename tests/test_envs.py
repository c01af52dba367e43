"""Every family satisfies the contract of `MetaEnv`."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dream.envs import (
    PHASES,
    SPLITS,
    GymnasiumAdapter,
    MetaEnv,
    Part,
    Phase,
    ProblemSet,
    families,
    make,
    registry,
)
from dream.spaces import parts_of, random_values, zeros
from tests.toys import Corridor, Fact

FAMILIES = list(families())


def arrays(obs: Any) -> list[np.ndarray]:
    """The parts of observations."""
    return list(obs.values()) if isinstance(obs, dict) else [obs]


def flat(results: Any) -> list[np.ndarray]:
    """What `step` returned, with the parts of the observations."""
    return [*arrays(results[0]), *results[1:]]


def rows(obs: Any, members: Any) -> list[bytes]:
    """The observations of some of the members, by part."""
    return [part[members].tobytes() for part in arrays(obs)]


def play(envs: MetaEnv, actions: np.ndarray, **options: Any) -> list[Any]:
    """Everything `step` returns for actions (T, B), obs first."""
    obs, info = envs.reset(seed=3, options=options)
    return [(obs, info), *(envs.step(a) for a in actions)]


def random_actions(envs: MetaEnv, seed: int = 0, steps: int | None = None) -> np.ndarray:
    return random_values(envs.single_action_space, np.random.default_rng(seed), steps or envs.horizon, envs.num_envs)


def settled(name: str) -> bool:
    """Whether problem, instruction and actions settle an episode: the generator of the env has no part in it."""
    envs = make(name, 4)
    ids, actions = np.arange(4) % envs.problems.num_problems, random_actions(envs)
    instruction = envs.sample_instruction(ids, np.random.default_rng(0))
    seen = []
    for seed in (0, 1):
        obs, _ = envs.reset(seed=seed, options={"problem_id": ids, "instruction": instruction})
        seen.append([rows(obs, slice(None)), *(rows(envs.step(action)[0], slice(None)) for action in actions)])
    return seen[0] == seen[1]


SETTLED = [name for name in FAMILIES if settled(name)]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("phase", PHASES)
def test_random_play_stays_in_the_spaces(name: str, phase: Phase) -> None:
    envs = make(name, 64)
    (obs, info), *steps = play(envs, random_actions(envs), phase=phase)
    assert obs in envs.observation_space
    for array, space in zip(arrays(obs), parts_of(envs.single_observation_space).values(), strict=True):
        assert array.dtype == space.dtype and array.shape == (64, *(space.shape or ()))
    assert info["instruction"].shape == (64, *envs.instruction_space.shape)
    assert info["instruction"].dtype == info["problem_id"].dtype == np.int64
    several = int(np.prod(envs.instruction_space.nvec)) > 1
    assert info["instruction"].any() == (phase == "execute" and several)
    ended = np.zeros(64, bool)
    for obs, reward, terminated, truncated, info in steps:
        ended |= terminated | truncated
        assert obs in envs.observation_space
        assert reward.dtype == np.float32 and terminated.dtype == truncated.dtype == info["active"].dtype == np.bool_
        assert not (terminated & truncated).any()
        if phase == "explore":
            assert not reward.any()
    assert ended.all() and not envs.active.any()


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("phase", PHASES)
def test_finished_members_freeze(name: str, phase: Phase) -> None:
    envs = make(name, 64)
    actions = random_actions(envs, steps=envs.horizon + 3)
    obs, _ = envs.reset(seed=3, options={"phase": phase})
    ended = np.zeros(64, bool)
    ends = np.zeros((2, 64), int)
    for number, action in enumerate(actions, start=1):
        now, reward, terminated, truncated, info = envs.step(action)
        assert (info["active"] == ~ended).all()
        assert rows(now, ended) == rows(obs, ended) and not reward[ended].any()
        assert truncated.any() <= (number == envs.horizon)
        obs, ended = now, ended | terminated | truncated
        assert (envs.active == ~ended).all() and (envs.elapsed[info["active"]] == number).all()
        ends += [terminated, truncated]
    assert (ends.sum(axis=0) == 1).all()  # the end of an episode is reported once
    assert ends[0].any() or envs.end_action is None


@pytest.mark.parametrize("name", [name for name in FAMILIES if make(name, 1).end_action is not None])
def test_the_end_action_ends_and_the_time_limit_truncates(name: str) -> None:
    for phase in PHASES:
        envs = make(name, 3)
        envs.reset(seed=0, options={"phase": phase})
        for step in range(1, envs.horizon + 1):
            actions = np.array([0, 0, envs.end_action if step in (2, envs.horizon) else 0])
            _, _, terminated, truncated, _ = envs.step(actions)
            assert terminated.tolist() == [False, False, step == 2]
            assert truncated.tolist() == [step == envs.horizon] * 2 + [False]
        envs.reset(options={"phase": phase})  # ending with the very last step is an end, no time-out
        for step in range(1, envs.horizon + 1):
            _, _, terminated, truncated, _ = envs.step(np.full(3, envs.end_action if step == envs.horizon else 0))
        assert terminated.all() and not truncated.any()


@pytest.mark.parametrize("name", FAMILIES)
def test_reset_never_changes_a_named_problem(name: str) -> None:
    envs = make(name, 50)
    ids = np.random.default_rng(0).integers(envs.problems.num_problems, size=50)
    given = ids.copy()
    for phase in PHASES:
        _, info = envs.reset(options={"problem_id": ids, "phase": phase})
        assert (info["problem_id"] == given).all() and (ids == given).all()
        envs.step(zeros(envs.single_action_space, 50))
        assert (envs.problem_id == given).all()
    _, info = envs.reset(seed=1)
    assert np.isin(info["problem_id"], envs.problems.ids("train")).all() and len(set(info["problem_id"].tolist())) > 1
    assert envs.phase == "execute"


@pytest.mark.parametrize("name", FAMILIES)
def test_seeds(name: str) -> None:
    def start(envs: MetaEnv, **seed: int) -> bytes:
        obs, info = envs.reset(**seed)
        return b"".join(array.tobytes() for array in (*arrays(obs), *info.values()))

    one, two = make(name, 40), make(name, 40)
    assert start(one, seed=5) == start(two, seed=5) != start(two, seed=6)
    assert start(one, seed=5) == start(two, seed=5)
    assert start(one) == start(two)  # goes on with the same stream
    state = one.np_random.bit_generator.state
    one.step(zeros(one.single_action_space, 40))
    assert one.np_random.bit_generator.state == state


@pytest.mark.parametrize("name", FAMILIES)
def test_returned_arrays_belong_to_the_caller(name: str) -> None:
    """Writing into returned arrays, or into given ones, changes nothing inside."""
    clean, spoiled = make(name, 8), make(name, 8)
    ids = np.arange(8) % clean.problems.num_problems
    actions = random_actions(clean)
    instruction = clean.sample_instruction(ids, np.random.default_rng(0))
    expected = play(clean, actions, problem_id=ids, instruction=instruction)
    given = {"problem_id": ids.copy(), "instruction": instruction.copy()}
    obs, info = spoiled.reset(seed=3, options=given)
    for array in (*arrays(obs), *info.values(), *given.values()):
        array[:] = 1
    for own, was in zip((spoiled.problem_id, spoiled.instruction), expected[0][1].values(), strict=True):
        assert (own == was).all()
    for step, (obs, reward, terminated, truncated, _) in zip(actions, expected[1:], strict=True):
        got = spoiled.step(step)
        for mine, theirs in zip((*arrays(obs), reward, terminated, truncated), flat(got[:4]), strict=True):
            assert (mine == theirs).all()
        for array in (*flat(got[:4]), got[4]["active"]):
            array[:] = 1


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_members_never_affect_each_other(data: st.DataObject) -> None:
    """A member of a batch sees exactly what it would see alone, whatever the others do."""
    name = data.draw(st.sampled_from(SETTLED))
    phase = data.draw(st.sampled_from(PHASES))
    envs, alone = make(name, 5), make(name, 1)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    ids = rng.integers(envs.problems.num_problems, size=5)
    instruction = envs.sample_instruction(ids, rng) * (phase == "execute")
    actions = random_actions(envs, seed=data.draw(st.integers(0, 999)))
    member = data.draw(st.integers(0, 4))
    together = play(envs, actions, problem_id=ids, phase=phase, instruction=instruction)
    one = slice(member, member + 1)
    single = play(alone, actions[:, one], problem_id=ids[one], phase=phase, instruction=instruction[one])
    assert rows(together[0][0], one) == rows(single[0][0], slice(None))
    for many, few in zip(together[1:], single[1:], strict=True):
        for a, b in zip(flat(many[:4]), flat(few[:4]), strict=True):
            assert (a[one] == b).all()
        assert many[4]["active"][member] == few[4]["active"][0]


def test_splits_have_not_changed() -> None:
    """A change of these hashes makes old results incomparable: do not change them lightly."""
    pinned = {
        "bus": ((48, 5, 523), "ff161900c3b420a7"),
        "map": ((24, 24, 24), "13f052a208e4d0f6"),
        "cooking": ((40, 8, 16), "441b2999e5d47ea3"),
        "signpost": ((2, 2, 2), "cc95ca8de1e485b5"),
        "sign": ((3, 3, 3), "4316eb109a6d8827"),
        "sign-ball": ((3, 3, 3), "9c545ead3af36ab3"),
        "sign-worlds": ((3000, 150, 600), "4b0ae763fccf6a56"),
        "kitchen": ((20000, 500, 2000), "4448a5848281df39"),
        "dark-rooms": ((8500, 500, 1000), "5e9dcddafcbedd64"),
        "fixed-arm": ((8500, 500, 1000), "02d3ff1cab5d540d"),
        "beacon": ((180, 90, 90), "aab99575097b76b1"),
        "point-goals": ((100, 20, 20), "be6db1ed8875199d"),
    }
    for name, (sizes, digest) in pinned.items():
        problems = make(name, 1).problems
        assert tuple(len(problems.ids(split)) for split in SPLITS) == sizes
        assert problems.hash == digest
        assert problems.ids("all").tolist() == list(range(problems.num_problems))
        table = problems.features(problems.ids("all"))
        assert table.shape == (problems.num_problems, len(problems.factors))
        assert (table.max(axis=0) + 1 == problems.factors).all()
        if name not in ("sign-worlds", "kitchen"):  # there f is not told which house or kitchen it is
            assert len(np.unique(table, axis=0)) == len(table)
    variants = {
        ("sign-worlds", "textures"): "0329075396570d7e",
        ("sign-worlds", "plans"): "47d3c8e14f590414",
        ("sign-worlds", "paper"): "7592ce3fd39629a9",
        ("kitchen", "contents"): "8a5215ec46082335",
        ("kitchen", "both"): "dd8cc00d53f994c9",
    }
    assert {key: make(key[0], 1, variant=key[1]).problems.hash for key in variants} == variants
    bus = make("bus", 1, split="paper").problems
    assert bus.ids("train").tolist() == bus.ids("validation").tolist() == list(range(0, 576, 11))
    assert sorted([*bus.ids("train"), *bus.ids("test")]) == list(range(576)) and not make("map", 1).problems.validates
    held_out = make("bus", 1).problems
    assert held_out.validates and (held_out.ids("test") == bus.ids("test")).all()
    assert sorted([*held_out.ids("train"), *held_out.ids("validation")]) == bus.ids("train").tolist()
    assert set(np.bincount(held_out.ids("train") % 24)) == {2}  # each order of the useful lines, in two problems
    cooking = make("cooking", 1).problems
    assert cooking.ids("test").tolist() == [0, 3, 5, 7, 19, 33, 34, 42, 43, 44, 47, 50, 53, 54, 57, 63]
    assert sorted(id for split in SPLITS for id in cooking.ids(split)) == list(range(64))
    assert all(len(np.unique(drawer)) == 4 for drawer in cooking.features(cooking.ids("train")).T)
    paper = make("cooking", 1, split="paper").problems
    assert paper.ids("test").tolist() == [10] and len(paper.ids("train")) == 63 and 10 not in paper.ids("train")
    assert len({cooking.hash, paper.hash, make("cooking", 1, horizon=21).problems.hash}) == 3


def test_no_two_drawers_determine_the_third_in_training_kitchens() -> None:
    train = make("cooking", 1).problems
    kitchens = train.features(train.ids("train"))
    for first, second in ((0, 1), (0, 2), (1, 2)):
        counts = np.bincount(4 * kitchens[:, first] + kitchens[:, second], minlength=16)
        assert counts.min() == 2
    for size in ({"drawers": 2}, {"ingredients": 2}, {"drawers": 4}, {"drawers": 4, "ingredients": 2}):
        problems = make("cooking", 1, **size).problems
        test, train_ids = len(problems.ids("test")), problems.ids("train")
        assert test == problems.num_problems // 4 and len(train_ids) == problems.num_problems - test - test // 2
        contents = problems.features(train_ids)
        assert all(len(np.unique(drawer)) == problems.factors[0] for drawer in contents.T)
    with pytest.raises(ValueError, match="4 kitchens are too few"):
        make("cooking", 1, drawers=1)


def test_sampling_problems_is_balanced() -> None:
    problems = make("cooking", 1).problems
    ids = problems.sample("test", 40, np.random.default_rng(0))
    counts = np.bincount(ids, minlength=64)[problems.ids("test")]
    assert len(ids) == 40 and set(counts.tolist()) == {2, 3}
    with pytest.raises(ValueError, match="unknown split 'tests'"):
        problems.ids("tests")


GOOD = {"problem_id": np.array([1, 2]), "phase": "execute", "instruction": np.array([[0, 8], [8, 8]])}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"problem_id": np.array([1, 576])}, "problem_id 576 does not exist: bus has ids 0 to 575"),
        ({"problem_id": np.array([-1, 3])}, "problem_id -1 does not exist"),
        ({"problem_id": np.array([1, 2, 3])}, r"problem_id is int64 of shape \(3,\): give 2 integers"),
        ({"problem_id": 4}, r"problem_id is int64 of shape \(\)"),
        ({"problem_id": np.array([0.0, 1.0])}, "problem_id is float64"),
        ({"phase": "exploit"}, "phase is 'exploit': choose 'explore' or 'execute'"),
        ({"instruction": np.array([0, 8])}, r"instruction is int64 of shape \(2,\): give integers of shape \(2, 2\)"),
        ({"instruction": np.array([[0, 8], [9, 8]])}, r"instruction \[9, 8\] does not exist"),
        ({"instruction": np.array([[0, 8], [4, 8]])}, r"instruction \[4, 8\] is no corner"),
        ({"phase": "explore"}, "an exploration episode has no instruction"),
        ({"problem": 3}, "unknown reset option 'problem': bus takes problem_id, phase, instruction and"),
    ],
)
def test_reset_refuses_nonsense(change: dict[str, Any], message: str) -> None:
    envs = make("bus", 2)
    envs.reset(options=dict(GOOD))
    with pytest.raises(ValueError, match=message):
        envs.reset(options={**GOOD, **change})


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.array([0, 9]), "action 9 does not exist: bus has actions 0 to 8"),
        (np.array([0, -1]), "action -1 does not exist"),
        (np.array([0]), r"actions are int64 of shape \(1,\): give 2 integers"),
        (np.array([0.0, 1.0]), "actions are float64"),
    ],
)
def test_step_refuses_nonsense(actions: np.ndarray, message: str) -> None:
    envs = make("bus", 2)
    with pytest.raises(RuntimeError, match="step was called before reset"):
        envs.step(np.zeros(2, int))
    envs.reset()
    with pytest.raises(ValueError, match=message):
        envs.step(actions)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("buss", {}, r"unknown family 'buss': choose one of bus, .* \(did you mean 'bus'\?\)"),
        (
            "bus",
            {"gridsize": 7},
            r"family 'bus' has no parameter 'gridsize': it takes .* \(did you mean 'grid_size'\?\)",
        ),
        ("bus", {"num_envs": 0}, "num_envs is 0"),
        ("bus", {"grid_size": 8}, "grid_size is 8: bus takes an odd number"),
        ("map", {"grid_size": 3}, "grid_size is 3: map takes an odd number"),
        ("bus", {"horizon": 0}, "horizon is 0"),
        ("bus", {"render_mode": "human"}, "render_mode is 'human'"),
        ("cooking", {"grid_size": 2}, "grid_size is 2"),
        ("cooking", {"drawers": 9}, "drawers is 9: a grid of 3 x 3 has room for 1 to 8"),
        ("cooking", {"ingredients": 1}, "ingredients is 1"),
        ("cooking", {"recipe": 0}, "recipe is 0"),
        ("cooking", {"grid_size": 5, "drawers": 11}, "4194304 kitchens"),
        ("cooking", {"split": "papers"}, "unknown split 'papers'"),
        ("cooking", {"description": "lines"}, "unknown description 'lines'"),
        ("bus", {"split": "papers"}, "unknown split 'papers'"),
        ("cooking", {"split": "paper", "drawers": 4}, "split 'paper' is for 4 ingredients in 3 drawers"),
        ("cooking", {"drawers": 1, "ingredients": 2}, "2 kitchens are too few"),
        ("cooking", {"drawers": 1, "ingredients": 5}, "5 kitchens are too few"),
    ],
)
def test_make_refuses_nonsense(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(name, parameters.pop("num_envs", 2), **parameters)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("cooking", {"grid_size": "4,drawers=4"}, "grid_size of cooking is '4,drawers=4': give an integer; separate"),
        ("cooking", {"grid_size": "4,drawers=4"}, "parameters by spaces: grid_size=4 drawers=4$"),
        ("bus", {"grid_size": 9.0}, "parameter grid_size of bus is 9.0: give an integer$"),
        ("bus", {"grid_size": True}, "parameter grid_size of bus is True: give an integer$"),
        ("bus", {"horizon": "long"}, "parameter horizon of bus is 'long': give an integer or None$"),
        ("cooking", {"split": 3}, "parameter split of cooking is 3: give a text$"),
        ("sign", {"threads": None}, "parameter threads of sign is None: give an integer$"),
        ("bus", {"description": "a\x1b[31mb\nc"}, r"unknown description 'a\\x1b\[31mb\\nc'"),
    ],
)
def test_a_parameter_of_another_type_is_refused(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(name, 1, **parameters)


def test_parameters_of_ones_own_family_are_checked_by_annotation_or_default(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(Corridor):
        def __init__(self, num_envs: int, cells=3, cost: float = 0.0, facts=()) -> None:  # type: ignore[no-untyped-def]
            super().__init__(num_envs, length=cells, step_cost=cost, facts=facts)

    monkeypatch.setattr(registry, "Own", Own, raising=False)
    own = make("dream.envs.registry:Own", 1, cells=np.int64(5), cost=1, facts=[Fact(1)])
    assert own.length == 5 and own.step_cost == 1  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"parameter cells of dream\.envs\.registry:Own is '5': give an integer$"):
        make("dream.envs.registry:Own", 1, cells="5")
    with pytest.raises(ValueError, match=r"parameter cost of dream\.envs\.registry:Own is 'high': give a number$"):
        make("dream.envs.registry:Own", 1, cost="high")


ALARM = "a\x1b[31mb\x07c\x1b]0;title\x07d\ne\x9b2Jf\u202eg"


def test_text_of_a_family_cannot_control_a_terminal() -> None:
    class Loud(Corridor):
        summary = ALARM

        def tell(self, problem_id: int, obs: np.ndarray, action: np.ndarray) -> list[str]:
            return [ALARM, "x"]

        def instruction_name(self, instruction: np.ndarray) -> str:
            return ALARM

    env, zero = Loud(1), np.zeros(1, np.int64)
    part = Part(ALARM, zero, 1, True, (ALARM,))
    texts = [env.summary, *env.tell(0, zero, zero), env.instruction_name(zero), part.name, *part.values]
    assert texts == ["abcd efg", "abcd efg", "x", "abcd efg", "abcd efg", "abcd efg"]
    named = Loud(1).problems
    problems = ProblemSet(ALARM, {}, 2, named.splits, (2,), named.factor_table)
    space = gym.spaces.MultiDiscrete([2])
    adapted = GymnasiumAdapter(
        lambda: gym.make("FrozenLake-v1"),
        1,
        problems=problems,
        horizon=5,
        instruction_space=space,
        action_names=(ALARM, "b", "c", "d"),
    )
    assert adapted.family == "abcd efg" and adapted.action_names == ("abcd efg", "b", "c", "d")
