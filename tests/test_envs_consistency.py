"""Which problems agree with a stream: by hand, against the rules' own tables, and over several episodes."""

import numpy as np
import pytest
import torch

from dream.core.rollout import Now, rollout
from dream.envs import consistent_problems, make
from dream.envs.consistency import steps_of_agreement
from dream.envs.signpost.family import PRESS_A, Signpost

PRESS_B = PRESS_A + 1

LEFT, UP, RIGHT, DOWN, NO_OP, RIDE, END, PICK_UP, DROP = range(9)


def by_hand(cells: list[tuple[int, ...]], actions: list[int], padding: int = 1) -> tuple[np.ndarray, ...]:
    obs = np.array(cells + [(7,) * len(cells[0])] * padding, np.int16)[None]
    action = np.array(actions + [UP] * padding)[None]  # what stands in the padding does not matter
    return obs, action, np.arange(action.shape[1])[None] < len(actions)


def test_signpost_by_hand() -> None:
    env = make("signpost", 3)
    for cells, expected in (
        ([(2, 0), (3, 0), (4, 2)], [False, True]),
        ([(2, 0), (3, 0), (4, 1)], [True, False]),
        ([(2, 0), (3, 0), (2, 0)], [True, True]),
    ):
        actions = [1, 1] if cells[-1][0] == 4 else [1, 0]
        assert consistent_problems(env, *by_hand(cells, actions)).tolist() == [expected]
    assert consistent_problems(env, *by_hand([(2, 0)], [], 4)).tolist() == [[True, True]]  # no step moved the agent


def test_a_ride_leaves_the_problems_with_that_line() -> None:
    env = make("bus", 100)  # no divisor of 576: the last batch is not full
    ride = by_hand([(4, 4, 0), (4, 5, 1), (0, 7, 1)], [UP, RIDE])
    line = env.parts()[0].labels == 1  # (0, 7) is the second useful end
    assert (consistent_problems(env, *ride) == line).all() and line.sum() == 6 * 24
    useless = by_hand([(4, 4, 0), (4, 5, 1), (5, 5, 1), (8, 4, 1)], [UP, RIGHT, RIDE])
    assert (consistent_problems(env, *useless) == (env.parts()[4].labels == 2)).all()


def test_two_episodes_add_their_evidence_and_streams_do_not_mix() -> None:
    env = make("map", 50)
    start, a, b = (4, 4, 0, 0), (4, 5, 1, 0), (5, 4, 1, 0)
    cells = [start, a, (0, 1, 1, 0), (0, 1, 1, 0), start, b, (8, 7, 1, 0)]
    both = by_hand(cells, [UP, RIDE, END, 9, RIGHT, RIDE], padding=0)
    first = env.parts()[0].labels == 0
    assert (consistent_problems(env, *both) == first & (env.parts()[1].labels == 3)).all()
    # Step by step, from the first observation: all, until a ride shows where the line leads.
    problems = [(steps_of_agreement(env, *both)[0] >= step).sum() for step in range(-1, 7)]
    assert problems == [24, 24, 24, 6, 6, 6, 6, 2]
    short = by_hand(cells[:3], [UP, RIDE], padding=4)
    stacked = [np.concatenate(pair) for pair in zip(both, short, both, strict=True)]
    obs, action, mask = stacked
    agrees = consistent_problems(env, obs, action, mask)
    assert (agrees[0] == agrees[2]).all() and (agrees[1] == first).all() and agrees[0].sum() == 2


@pytest.mark.parametrize("family", ["bus", "map", "cooking", "signpost"])
def test_random_streams_agree_with_their_problem_and_with_none_that_another_action_would_need(family: str) -> None:
    env = make(family, 512)
    count = env.problems.num_problems
    ids = np.random.default_rng(0).integers(count, size=512)
    generator = torch.Generator().manual_seed(0)

    def policy(now: Now, memory: None) -> tuple[torch.Tensor, None]:
        return torch.randint(int(env.single_action_space.n), (512,), generator=generator), None

    episodes = rollout(env, policy, ids, phase="explore", episodes=2)
    obs, action, mask = (x[:40].numpy() for x in (episodes.obs, episodes.action, episodes.mask))
    agrees = consistent_problems(env, obs, action, mask)
    assert agrees.shape == (40, count) and agrees[np.arange(40), ids[:40]].all()
    # The same, one stream at a time, in every problem at once.
    each = make(family, count)
    none = int(env.single_action_space.n)
    for stream in range(0, 40, 5):
        same = np.ones(count, bool)
        options = {"problem_id": np.arange(count), "phase": "explore"}
        now, _ = each.reset(options=options)
        for step in range(int(mask[stream].sum())):
            same &= (now == obs[stream, step]).all(axis=1)
            if action[stream, step] == none:
                now, _ = each.reset(options=options)
            else:
                now = each.step(np.full(count, action[stream, step]))[0]
        same &= (now == obs[stream, int(mask[stream].sum())]).all(axis=1)
        assert (agrees[stream] == same).all()


class Trap(Signpost):
    """A signpost where button A ends an exploration in problem 0."""

    def _advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        obs, reward, terminated = super()._advance(actions)
        return obs, reward, terminated | ((actions == PRESS_A) & (self.problem_id == 0))


def test_an_episode_that_continues_rules_out_problems_in_which_it_would_have_ended() -> None:
    here = [(2, 0)] * 3
    assert consistent_problems(Trap(2), *by_hand(here, [PRESS_A, PRESS_B])).tolist() == [[False, True]]
    assert consistent_problems(Trap(2), *by_hand(here, [PRESS_B, PRESS_A])).tolist() == [[True, True]]


def test_a_stream_that_fits_no_problem_is_refused() -> None:
    env = make("map", 24)
    with pytest.raises(ValueError, match="stream 0 agrees with no problem of map"):
        consistent_problems(env, *by_hand([(4, 4, 0, 0), (8, 8, 0, 0)], [UP]))
    with pytest.raises(ValueError, match="obs and action have shapes"):
        consistent_problems(env, np.zeros((1, 3, 3)), np.zeros((1, 2), int), np.ones((1, 2), bool))


def test_a_family_that_is_not_deterministic_is_refused() -> None:
    env = make("sign", 2)
    obs = [env.reset(seed=0, options={"phase": "explore"})[0]]
    obs.append(env.step(np.zeros(2, int))[0])
    with pytest.raises(ValueError, match="not deterministic"):
        consistent_problems(env, np.stack(obs, 1), np.zeros((2, 1), int), np.ones((2, 1), bool))
