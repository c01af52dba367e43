"""Spaces in canonical form, values of each kind alone and in a batch, and what has no canonical form."""

import warnings
from typing import Any

import numpy as np
import pytest
from gymnasium import Space
from gymnasium.spaces import Box, Dict, Discrete, Graph, MultiBinary, MultiDiscrete, Sequence, Text, Tuple
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array

from dream.envs.canonical import canonical_actions, canonical_observations, floats_as_declared
from dream.errors import UserError
from dream.spaces import (
    check_canonical,
    choose,
    copied,
    each,
    integer_space,
    is_image,
    is_integers,
    number_space,
    parts_of,
    zeros,
)

HUGE = Box(-np.inf, np.inf, (2,), np.float64)
MINIGRID = Box(0, 255, (7, 7, 3), np.uint8)


def leaves(space: Space[Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name -> kind and shape of every part."""
    kinds = {
        name: "image" if is_image(part) else "integers" if is_integers(part) else "numbers"
        for name, part in parts_of(space).items()
    }
    return {name: (kinds[name], part.shape or ()) for name, part in parts_of(space).items()}


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (Discrete(7), ("integers", (1,))),
        (Discrete(7, start=-3), ("integers", (1,))),
        (MultiDiscrete([3, 9]), ("integers", (2,))),
        (MultiDiscrete([3, 9], start=[5, -5]), ("integers", (2,))),
        (MultiDiscrete([[2, 3], [4, 5]]), ("integers", (4,))),
        (MultiDiscrete(np.full((5, 6, 2), 4)), ("integers", (5, 6, 2))),
        (MultiBinary(3), ("integers", (3,))),
        (MultiBinary((2, 2)), ("integers", (4,))),
        (Box(-1, 1, (3,)), ("numbers", (3,))),
        (Box(-1, 1, ()), ("numbers", (1,))),
        (Box(-1, 1, (2, 3), np.float64), ("numbers", (6,))),
        (Box(0, 1, (8, 8, 3)), ("numbers", (192,))),
        (Box(-5, 5, (2, 2), np.int64), ("numbers", (4,))),
        (Box(0, 255, (9,), np.uint8), ("numbers", (9,))),
        (HUGE, ("numbers", (2,))),
        (Box(0, 255, (6, 8, 3), np.uint8), ("image", (6, 8, 3))),
        (Box(0, 255, (6, 8, 1), np.uint8), ("image", (6, 8, 1))),
        (Box(0, 255, (4, 6, 8), np.uint8), ("image", (6, 8, 4))),
        (Box(0, 255, (6, 8), np.uint8), ("image", (6, 8, 1))),
    ],
    ids=str,
)
def test_each_kind_alone_and_in_a_batch(space: Space[Any], expected: tuple[str, tuple[int, ...]]) -> None:
    canonical, convert = canonical_observations(space)
    assert leaves(canonical) == {"": expected}
    check_canonical(canonical, Discrete(2))
    space.seed(0)
    samples = [space.sample() for _ in range(5)]
    alone = [convert(sample) for sample in samples]
    assert all(one.shape == canonical.shape and one.dtype == canonical.dtype and one in canonical for one in alone)
    batch = concatenate(space, samples, create_empty_array(space, 5))
    together = convert(batch)
    assert (together == np.stack(alone)).all() and together.dtype == canonical.dtype
    assert together in batch_space(canonical, 5)


def test_integers_begin_at_0() -> None:
    canonical, convert = canonical_observations(Discrete(7, start=-3))
    assert isinstance(canonical, MultiDiscrete) and canonical.nvec.tolist() == [7] and canonical.dtype == np.int16
    assert [convert(value).tolist() for value in (-3, np.int64(3))] == [[0], [6]]
    _, convert = canonical_observations(Discrete(7, start=-3))
    assert convert(np.uint8([1, 2])).tolist() == [[4], [5]]
    canonical, convert = canonical_observations(MultiDiscrete([[3, 9], [2, 4]], start=[[5, -5], [0, 40_000]]))
    assert canonical.nvec.tolist() == [3, 9, 2, 4]  # type: ignore[attr-defined]
    assert convert(np.array([[7, -5], [1, 40_003]])).tolist() == [2, 0, 1, 3]


def test_channels_come_last() -> None:
    planes = np.arange(2 * 3 * 6 * 8).reshape(2, 3, 6, 8).astype(np.uint8)
    canonical, convert = canonical_observations(Box(0, 255, (3, 6, 8), np.uint8))
    assert canonical.shape == (6, 8, 3)
    assert (convert(planes[0])[..., 1] == planes[0, 1]).all() and (convert(planes)[1, ..., 2] == planes[1, 2]).all()
    both = np.arange(3 * 6 * 4).reshape(3, 6, 4).astype(np.uint8)
    with pytest.raises(ValueError, match="5 x 5 pixels or more"):  # 3 x 6 pixels of 4 channels, by the rule
        canonical_observations(Box(0, 255, both.shape, np.uint8))


def test_numbers_are_flat_float32_within_bounds() -> None:
    space = Box(np.array([[-1.1, 0], [0, 0]]), np.array([[0.1, 5], [np.inf, 1e300]]), dtype=np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        canonical, convert = canonical_observations(space)
        top, nan = convert(space.high.clip(max=1e301)), convert(np.array([[np.nan, 1], [2, 3]]))
    assert isinstance(canonical, Box) and canonical.dtype == np.float32
    assert canonical.low.tolist() == [np.float32(-1.1), 0, 0, 0]
    assert canonical.high.tolist() == [np.float32(0.1), 5, np.inf, np.inf]
    assert top.tolist() == [np.float32(0.1), 5, np.inf, np.inf] and top.dtype == np.float32
    assert np.isnan(nan[0]) and nan[1:].tolist() == [1, 2, 3]


def test_parts_are_flat_and_named_by_their_path() -> None:
    space = Dict(
        {
            "view": Dict({"image": MINIGRID, "compass": Discrete(4)}),
            "hand": Tuple((Discrete(3, start=1), Box(-1, 1, (2, 2)), Tuple((MultiBinary(2),)))),
            "arm": HUGE,
        }
    )
    canonical, convert = canonical_observations(space, {"view.image": (11, 6, 3)})
    check_canonical(canonical, Discrete(2))
    assert leaves(canonical) == {
        "view.image": ("integers", (7, 7, 3)),
        "view.compass": ("integers", (1,)),
        "hand.0": ("integers", (1,)),
        "hand.1": ("numbers", (4,)),
        "hand.2.0": ("integers", (2,)),
        "arm": ("numbers", (2,)),
    }
    space.seed(3)
    samples = [space.sample() for _ in range(2)]
    for sample in samples:
        sample["view"]["image"] %= 3
    alone = convert(samples[0])
    assert alone in canonical and list(alone) == list(parts_of(canonical))
    assert alone["view.compass"].tolist() == [samples[0]["view"]["compass"]]
    assert alone["hand.0"].tolist() == [samples[0]["hand"][0] - 1]
    assert (alone["hand.1"] == samples[0]["hand"][1].ravel()).all()
    together = convert(concatenate(space, samples, create_empty_array(space, 2)))
    for name, array in together.items():
        assert (array[0] == alone[name]).all() and array.shape == (2, *canonical[name].shape), name  # type: ignore[index]


def test_parts_of_a_tuple_are_in_one_order_in_space_and_arrays() -> None:
    canonical, convert = canonical_observations(Tuple([Discrete(n) for n in range(2, 13)]))
    made = convert(tuple(range(11)))
    assert list(made) == list(parts_of(canonical)) and set(made) == {str(n) for n in range(11)}
    assert all(array.tolist() == [int(name)] for name, array in made.items())


def test_codes_are_categories_and_not_colours() -> None:
    canonical, convert = canonical_observations(MINIGRID, (11, 6, 3))
    assert isinstance(canonical, MultiDiscrete) and canonical.shape == (7, 7, 3) and canonical.dtype == np.int16
    assert (canonical.nvec == (11, 6, 3)).all()
    view = np.full((7, 7, 3), 2, np.uint8)
    assert convert(view) in canonical and convert(view[None]).shape == (1, 7, 7, 3)
    assert is_image(canonical_observations(MINIGRID)[0]) and not is_image(canonical)
    in_parts, _ = canonical_observations(Dict({"image": MINIGRID, "on": Discrete(2)}), {"image": [11, 6, 3]})
    assert leaves(in_parts) == {"image": ("integers", (7, 7, 3)), "on": ("integers", (1,))}


@pytest.mark.parametrize(
    ("space", "codes", "message"),
    [
        (MINIGRID, (11, 6), r"codes \(11, 6\) do not fit the observation space Box"),
        (MINIGRID, (11, 6, 0), r"codes \(11, 6, 0\) do not fit"),
        (MINIGRID, (11, 6, 3.5), r"codes \(11, 6, 3\.5\) do not fit"),
        (MINIGRID, {"image": (11, 6, 3)}, r"codes \{'image': \(11, 6, 3\)\} do not fit"),
        (Discrete(3), (3,), r"codes \(3,\) do not fit the observation space Discrete"),
        (Dict(image=MINIGRID), (11, 6, 3), r"codes are for \(11, 6, 3\), which is no part .* are \['image'\]"),
        (Dict(image=MINIGRID), {"imag": (11, 6, 3)}, "codes are for 'imag', which is no part of the observation"),
        (Dict(a=Dict(image=MINIGRID)), {"a.b": (1, 1, 1)}, "codes are for 'b', which is no part"),
    ],
)
def test_codes_that_fit_nothing_are_refused(space: Space[Any], codes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        canonical_observations(space, codes)


@pytest.mark.parametrize(
    "space",
    [
        Discrete(40_000),
        MultiDiscrete([3, 40_000]),
        Box(0, 255, (4, 4, 3), np.uint8),
        Box(0, 255, (84, 84, 9), np.uint8),
        Box(0, 255, (4, 84, 84, 3), np.uint8),
        Text(5),
        Sequence(Discrete(2)),
        Graph(Discrete(2), None),
        Dict({}),
        Tuple(()),
        Dict({"a": Dict({})}),
        Dict({"a": Dict({"b": Discrete(2)}), "a.b": Discrete(3)}),
        Dict({"word": Text(5), "on": Discrete(2)}),
    ],
    ids=str,
)
def test_observations_without_canonical_form_are_refused_in_one_sentence(space: Space[Any]) -> None:
    with pytest.raises(ValueError, match="cannot be adapted: it must be Discrete or MultiDiscrete") as refused:
        canonical_observations(space)
    assert "gymnasium.wrappers.TransformObservation" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("space", "canonical", "given", "own"),
    [
        (Discrete(3), Discrete(3), 2, 2),
        (Discrete(3, start=-1), Discrete(3), 0, -1),
        (MultiDiscrete([3, 4], start=[1, -1]), MultiDiscrete([3, 4]), [2, 0], [3, -1]),
        (MultiBinary(3), MultiDiscrete([2, 2, 2]), [0, 1, 1], [0, 1, 1]),
        (Box(-2, 2, (2,)), number_space(-2, 2, [2]), [-2.0, 0.5], [-2.0, 0.5]),
        (Box(-2, 2, (2, 2), np.float64), number_space(-2, 2, [4]), [0, 1, 2, 9], [[0, 1], [2, 2]]),
        (Box(0, 1, ()), number_space(0, 1, [1]), [0.25], 0.25),
        (Box(-3, 3, (2,), np.int32), number_space(-3, 3, [2]), [1.6, -2.6], [2, -3]),
    ],
    ids=str,
)
def test_actions_go_back_to_the_envs_own(space: Space[Any], canonical: Space[Any], given: Any, own: Any) -> None:
    found, convert = canonical_actions(space)
    assert found == canonical
    check_canonical(integer_space([2]), found)
    alone, together = convert(np.array(given)), convert(np.array([given] * 3))
    assert np.array_equal(alone, own) and np.array_equal(together, [own] * 3)
    assert alone in space and alone.dtype == space.dtype and together.shape == (3, *(space.shape or ()))


def test_a_bound_that_float32_rounds_outward_is_kept() -> None:
    space = Box(-0.1, 0.1, (1,), np.float64)
    canonical, convert = canonical_actions(space)
    assert isinstance(canonical, Box) and float(canonical.high[0]) > 0.1
    assert convert(canonical.high) in space and convert(canonical.low) in space


@pytest.mark.parametrize(
    "space",
    [
        HUGE,
        Box(0, np.inf, (1,)),
        Box(-1e300, 1e300, (1,), np.float64),
        Box(-3e38, 3e38, (1,)),
        MultiDiscrete([[2, 2]]),
        MultiBinary((2, 2)),
        Dict({"move": Discrete(2)}),
        Tuple((Discrete(2), Box(-1, 1))),
    ],
    ids=str,
)
def test_actions_without_canonical_form_are_refused_in_one_sentence(space: Space[Any]) -> None:
    with pytest.raises(ValueError, match="cannot be adapted: it must be Discrete, MultiDiscrete") as refused:
        canonical_actions(space)
    assert "gymnasium.wrappers" in str(refused.value) and "\n" not in str(refused.value)


def test_families_have_canonical_spaces() -> None:
    good, two = integer_space([2]), Discrete(2)
    for observation in (HUGE, Discrete(2), MultiDiscrete([2], start=[1]), Dict({}), Dict({"a": Dict({"b": good})})):
        with pytest.raises(UserError, match="a family observes"):
            check_canonical(observation, two)
    with pytest.raises(UserError, match="the observation 'b' is Box"):
        check_canonical(Dict({"a": good, "b": HUGE}), two)
    for action in (HUGE, Discrete(2, start=1), MultiBinary(2), Box(-1, 1, (2, 2)), Box(-1, 1, (2,), np.float64)):
        with pytest.raises(UserError, match="the action is"):
            check_canonical(good, action)


def test_arrays_with_and_without_parts() -> None:
    space = Dict(
        {"at": integer_space([3, 3]), "arm": number_space(-1, 1, [2]), "eye": Box(0, 255, (5, 5, 1), np.uint8)}
    )
    made = zeros(space, 4, 2)
    assert made["at"].shape == (4, 2, 2) and made["at"].dtype == np.int16 and not made["at"].any()
    assert made["arm"].dtype == np.float32 and made["eye"].shape == (4, 2, 5, 5, 1)
    assert zeros(space["at"], 3).shape == (3, 2)
    other = each(lambda array: array + 1, made)
    mask = np.array([True, False, True, False])
    chosen = choose(mask, other, made)
    assert (chosen["eye"][mask] == 1).all() and not chosen["eye"][~mask].any() and chosen["eye"].dtype == np.uint8
    assert choose(mask, np.arange(4), -np.arange(4)).tolist() == [0, -1, 2, -3]
    twin = copied(made)
    twin["at"] += 1
    assert not made["at"].any()


def test_only_floats_are_brought_to_the_declared_dtype() -> None:
    space = Dict({"a": Box(-1, 1, (2,)), "b": Tuple((Box(-1, 1, (1,)), Discrete(3))), "c": Box(0, 255, (2,), np.uint8)})
    value = {"a": np.array([0.5, 1.0]), "b": (np.array([0.25]), 2), "c": np.array([0.5, 1.0]), "d": 7}
    cast = floats_as_declared(space, value)
    assert cast["a"].dtype == cast["b"][0].dtype == np.float32 and cast["a"].tolist() == [0.5, 1.0]
    assert cast["c"] is value["c"] and cast["b"][1] == 2 and cast["d"] == 7
    assert floats_as_declared(space["a"], "word") == "word"
    assert floats_as_declared(Box(-1, 1, ()), np.float64(0.5)).dtype == np.float32
