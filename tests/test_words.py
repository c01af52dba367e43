"""Words for what was done, found out and believed, on episodes written by hand."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from dream.envs import MetaEnv, make
from dream.envs.sign.family import Sign
from dream.envs.words import counted
from dream.eval.record.recorded import RecordedStreams, RecordedTrials
from dream.eval.show.words import narrate

LEFT, UP, RIGHT, DOWN, NO_OP, RIDE, END, PICK_UP, DROP = range(9)


def walked(
    env: MetaEnv, problem: int, actions: Sequence[int], phase: str, instruction: list[int]
) -> dict[str, np.ndarray]:
    """One episode played by hand, as arrays (1, ...)."""
    options = {"problem_id": np.array([problem]), "phase": phase}
    obs = [
        env.reset(seed=0, options=options | ({"instruction": np.array([instruction])} if phase == "execute" else {}))[0]
    ]
    reward = []
    for action in actions:
        now, rewards, *_ = env.step(np.array([action]))
        obs.append(now)
        reward.append(rewards)
    steps = len(actions)
    return {
        "obs": np.stack(obs, 1),
        "action": np.array([actions], np.int64).reshape(1, steps),
        "reward": np.array(reward, np.float32).reshape(1, steps),
        "terminated": np.zeros((1, steps), bool),
        "mask": np.ones((1, steps), bool),
        "start": np.arange(steps)[None] == 0,
        "instruction": np.array([instruction], np.int64),
    }


def trial(
    env: MetaEnv, problem: int, explore: Sequence[int], execute: Sequence[int], instruction: list[int]
) -> RecordedTrials:
    explored = RecordedStreams(**walked(env, problem, explore, "explore", [0] * len(instruction)))
    executed = RecordedStreams(**walked(env, problem, execute, "execute", instruction))
    return RecordedTrials(
        env=env.family, env_parameters={}, method="dream", step=0, seed=0, problem_id=np.array([problem]),
        explore=explored, execute=executed, returns=executed.reward.sum(1, dtype=np.float64)[:, None],
        optimal=env.optimal_return(np.array([problem]), np.array([instruction]))[:, None],
    )  # fmt: skip


def test_phrases_in_a_row_are_counted() -> None:
    assert counted([]) == []
    assert counted(["left", "left", "press A", "left"]) == ["left 2 times", "press A", "left"]


def test_a_ride_in_bus() -> None:
    env = make("bus", 1)  # in problem 0 line A leads from (4, 5) to (0, 1)
    recorded = trial(env, 0, [UP, RIDE, RIDE, RIGHT, RIDE, NO_OP, NO_OP, END], [UP, RIDE, DOWN], [0, 0])
    assert narrate(recorded, env) == [
        "Problem 0. Explored 8 steps: walked to stop A at (4, 5), rode line A to (0, 1), rode line A to (4, 5), walked "
        "to stop E at (5, 5), rode line E to (0, 4), waited 2 times, ended the episode. Executed 'corner (0, 0)' in 3 "
        "steps: walked to stop A at (4, 5), rode line A to (0, 1), walked to (0, 0); return 0.80 of 0.80."
    ]


def test_a_meal_in_cooking() -> None:
    env = make("cooking", 1)  # problem 6 = 2 + 4 * 1: cheese below, carrot beside, tomato above
    cook = [RIGHT, PICK_UP, LEFT, DROP, RIGHT, DOWN, PICK_UP, UP, LEFT, DROP]
    recorded = trial(env, 6, [PICK_UP, RIGHT, PICK_UP, RIDE, LEFT, PICK_UP, UP, END], cook, [1, 2])
    (words,) = narrate(recorded, env)
    assert (
        "Explored 8 steps: found nothing to pick up, walked to drawer 2, took carrot from drawer 2, found nothing to "
        in words
    )
    assert "ride, walked to the bowl, threw away carrot, walked to (1, 2), ended the episode." in words
    assert (
        "Executed 'carrot, then cheese' in 10 steps: walked to drawer 2, took carrot from drawer 2, walked to the"
        in words
    )
    assert "bowl, put carrot into the bowl, walked to drawer 1, took cheese from drawer 1" in words
    assert words.endswith("put cheese into the bowl; return 0.40 of 0.40.")


def test_turns_in_sign_and_what_was_in_view() -> None:
    phrases = Sign.tell(None, 0, np.zeros(0), np.array([0, 0, 0, 2, 1, 2, 2, 3]))  # type: ignore[arg-type]
    assert phrases == [
        "turned left 135 degrees", "went 1 step forward", "turned right 45 degrees", "went 2 steps forward",
        "ended the episode",
    ]  # fmt: skip


def test_what_was_learned_and_when() -> None:
    env = make("signpost", 1)
    recorded = trial(env, 1, [1, 1, 4], [3], [0])
    informative = np.array([[False, False, True, True]])
    recorded = dataclasses.replace(
        recorded,
        explore=dataclasses.replace(recorded.explore, informative=informative),
        noise=0.1, prefixes=np.array([[[0.0], [0.2], [0.999], [0.999]]], np.float32),
        code=np.array([[1.0]], np.float32),
        codes=np.array([[-1.0], [1.0]], np.float32), candidates=np.array([0, 1]), known=np.array([True]),
    )  # fmt: skip
    assert narrate(recorded, env) == [
        "Problem 1. Explored 3 steps: right 2 times, end-episode. What identifies the problem was in view after "
        "step 2, in 2 of 4 observations. Information: 50.0 of 50.0 nats. Certain after step 2: right button = B "
        "(100%). Executed in 1 step: press B; return 1.00 of 1.00."
    ]
    mistaken = dataclasses.replace(recorded, prefixes=-recorded.prefixes)  # type: ignore[operator]
    assert "Certain after step 2: right button = A (wrong: B) (100%)." in narrate(mistaken, env)[0]
    vague = dataclasses.replace(recorded, prefixes=recorded.prefixes * 0.5)  # type: ignore[operator]
    assert "Uncertain at the end: right button (B 75%)." in narrate(vague, env)[0]
    unseen = dataclasses.replace(
        recorded, explore=dataclasses.replace(recorded.explore, informative=np.zeros((1, 4), bool))
    )
    assert "Nothing that identifies the problem was in view." in narrate(unseen, env)[0]


def test_a_trial_without_exploration() -> None:
    env = make("signpost", 1)
    recorded = trial(env, 0, [], [2], [0])
    blank = {"action": np.zeros((1, 1), np.int64), "mask": np.zeros((1, 1), bool), "start": np.zeros((1, 1), bool)}
    explore = dataclasses.replace(recorded.explore, **blank)
    (words,) = narrate(dataclasses.replace(recorded, explore=explore, context="id"), env)
    assert words == (
        "Problem 0. No exploration. The executor was given the problem id. Executed in 1 step: press A; return "
        "1.00 of 1.00."
    )


def test_of_many_events_the_middle_ones_are_counted_instead() -> None:
    env = make("bus", 1)
    recorded = trial(env, 0, [UP, RIDE] * 10, [UP], [0, 0])
    (words,) = narrate(recorded, env)
    events = env.tell(0, recorded.explore.obs[0], recorded.explore.action[0])
    shown, rest = ", ".join(events[:6]), ", ".join(events[-6:])
    assert len(events) > 12 and f": {shown}, ({len(events) - 12} events left out), {rest}. " in words


@pytest.mark.parametrize("family", ["bus", "map", "cooking", "signpost"])
def test_every_action_has_a_description(family: str) -> None:
    env = make(family, 1)
    rng = np.random.default_rng(0)
    goal = env.sample_instruction(np.array([1]), rng)[0].tolist()
    steps = [int(action) for action in range(len(env.action_names)) if action != env.end_action] * 3
    for _ in range(5):
        actions = rng.permutation(steps)[: env.horizon].tolist()
        arrays = walked(env, 1, actions, "explore", [0] * len(goal))
        printed = env.tell(1, arrays["obs"][0], arrays["action"][0])
        assert printed and all(printed)


@pytest.mark.parametrize(
    ("family", "instruction", "name"),
    [("bus", [0, 8], "corner (0, 8)"), ("cooking", [0, 3], "tomato, then aubergine"), ("signpost", [0], "")],
)
def test_names_of_instructions(family: str, instruction: list[int], name: str) -> None:
    assert make(family, 1).instruction_name(np.array(instruction)) == name


def test_values_of_parts_have_names_where_the_pictures_show_them() -> None:
    env = make("bus", 1)
    parts = {part.name: part for part in env.parts()}
    for problem in (0, 77, 575):
        for line, letter in enumerate("ABCDEFGH"):
            part = parts[f"line {letter}"]
            x, y = env.destinations[problem, line]  # type: ignore[attr-defined]
            assert part.value_name(int(part.labels[problem])) == f"({x}, {y})"
    names = make("cooking", 1, ingredients=6).parts()[0].values
    assert names == ("tomato", "carrot", "cheese", "aubergine", "E", "F")
