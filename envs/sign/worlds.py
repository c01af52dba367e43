"""`sign-worlds`: Sign in many houses, trained in some and tested in others."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dream.envs.problems import ProblemSet
from dream.envs.sign.family import Sign, SignFamily
from dream.envs.sign.houses import COLLECTIONS, houses
from dream.envs.sign.layout import COLOURS, SignLayout, layout_of
from dream.envs.world3d.settings import NEW_WORLDS

PAPER: Mapping[str, str] = {
    "paper": "default", "walls": "walls", "sign-left": "sign-left", "sign-high": "sign-high", "start": "start",
}  # fmt: skip
"""Variant of `sign-worlds` -> the variant of `sign` whose world it tests in."""
VARIANTS = ("default", "textures", "plans", *PAPER)
DESCRIPTIONS = ("colour", "colour and house")
PLACES = 64
"""Places in each house where episodes of training may start part-way, for each phase."""
FACING = np.pi / 4
"""Largest angle between the sign and the first heading of an exploration that starts in its room."""


class SignWorlds(SignFamily):
    """Sign in houses that differ in plan, sizes, textures, and where sign, objects and start are; pixels as in `sign`.

    A problem is a house and the colour that its sign names: id 3 x house + colour. f is told the colour alone, because
    nothing else of a house is unknown to who looks around. Houses of training, validation and test are disjoint, and
    MiniWorld's own room is in none of them. Rules and rewards are those of `Sign`.

    In training (`MetaEnv.training`) a share of the episodes starts part-way: explorations in the room where the sign
    hangs, looking at it, or on the way there, half of them each, and executions anywhere in the main room, where the
    objects stand. Random walks from the start area see a legible sign in 8% of their frames and seldom come to the
    objects that are far away.

    Args:
        num_envs: members.
        horizon: steps of an episode.
        worlds: houses of training, 1 to 1,000.
        part_way: share of the episodes of training that start part-way, 0 to 1.
        variant: the houses of the split `test`: "default", 200 like those of training; "textures" or "plans", 100 with
            textures or plans that training never shows; "paper", the one of `sign`; or "walls", "sign-left",
            "sign-high" or "start", its variants.
        description: what f is told in training: the "colour", or "colour and house".
        backend: "fast"; or, with a variant of the paper's world, "miniworld" for the real one (evaluation only).
        threads: of the renderer.
        render_mode: None or "rgb_array".

    Raises:
        ValueError: a parameter that is not allowed.
        UserError: the miniworld package (its textures and meshes) is missing; for backend "miniworld" also OpenGL.
    """

    summary = "sign in 1,000 houses, tested in others: new ones, new textures, new plans; pixels (3,750 problems)"
    default_settings: ClassVar[Mapping[str, Any]] = {
        **Sign.default_settings,
        **NEW_WORLDS,
        "steps": 1_500_000,
        "network.width": 128,  # six objects, each of them in forty places
        "explorer.min_explained": 0.1,
    }
    reference_parameters: ClassVar[Mapping[str, Any]] = {"backend": "miniworld", "variant": "paper"}
    wrong_object = -1.0

    def __init__(
        self,
        num_envs: int,
        horizon: int = 20,
        worlds: int = COLLECTIONS["train"],
        variant: str = "default",
        description: str = "colour",
        part_way: float = 0.8,
        backend: str = "fast",
        threads: int = 1,
        render_mode: str | None = None,
    ) -> None:
        if not 1 <= worlds <= COLLECTIONS["train"]:
            raise ValueError(f"worlds is {worlds}: give 1 to {COLLECTIONS['train']}")
        if not 0 <= part_way <= 1:
            raise ValueError(f"part_way is {part_way}: give a share from 0 to 1")
        if variant not in VARIANTS:
            raise ValueError(f"unknown variant {variant!r}: choose one of {', '.join(VARIANTS)}")
        if description not in DESCRIPTIONS:
            raise ValueError(f"unknown description {description!r}: choose 'colour' or 'colour and house'")
        if backend == "miniworld" and variant not in PAPER:
            raise ValueError(
                f"backend is 'miniworld': it has the paper's world only, so give variant={next(iter(PAPER))}"
            )
        self.variant, self.part_way = variant, part_way
        parts = {"train": list(houses("train", worlds)), "validation": list(houses("validation"))}
        if variant in PAPER:
            parts["test"] = [layout_of("sign", PAPER[variant])]
        else:
            parts["test"] = list(houses("test" if variant == "default" else variant))
        if backend == "miniworld":  # there is no other world to train in
            parts = dict.fromkeys(parts, parts["test"])
        layouts, problems = _problems(parts, {"horizon": horizon, "variant": variant}, description)
        super().__init__(num_envs, problems, layouts, horizon, backend, threads, render_mode)
        self._signs = np.array([(layout.sign[0], layout.sign[2]) for layout in self.layouts])  # (W, 2) x and z

    @cached_property
    def _places(self) -> Mapping[str, NDArray[np.float64]]:
        """Phase -> where episodes of training may start part-way in each house, (W, PLACES, 2)."""
        from dream.envs.sign.places import places_among_objects, places_on_the_way

        task = self.layouts, self.worlds.obstacles, PLACES
        return {"explore": places_on_the_way(*task), "execute": places_among_objects(*task)}

    def _start_elsewhere(self, members: NDArray[np.int64]) -> None:
        if not self.training or self.part_way == 0:
            return
        moved = members[self.np_random.random(len(members)) < self.part_way]
        number = self.np_random.integers(PLACES, size=len(moved))
        self._pose[moved, :2] = self._places[self.phase][self.world[moved], number]
        if self.phase == "explore":  # the first places are in the room of the sign: look at it
            x, z = (self._signs[self.world[moved]] - self._pose[moved, :2]).T
            aside = self.np_random.uniform(-FACING, FACING, len(moved))
            self._pose[moved, 2] = np.where(number < PLACES // 2, np.arctan2(-z, x) + aside, self._pose[moved, 2])


def _problems(
    parts: Mapping[str, list[SignLayout]], parameters: Mapping[str, Any], description: str
) -> tuple[list[SignLayout], ProblemSet]:
    """The houses, each once, and the problems in them, by split."""
    layouts = list(dict.fromkeys(layout for part in parts.values() for layout in part))
    number = {layout: n for n, layout in enumerate(layouts)}
    colours = np.arange(len(COLOURS))
    splits = {
        split: np.sort((len(COLOURS) * np.array([number[layout] for layout in part])[:, None] + colours).ravel())
        for split, part in parts.items()
    }
    ids = np.arange(len(COLOURS) * len(layouts))
    factors = np.stack([ids % len(COLOURS), ids // len(COLOURS)], axis=1)[:, : 1 if description == "colour" else 2]
    sizes = (len(COLOURS),) if description == "colour" else (len(COLOURS), len(layouts))
    digest = hashlib.sha256(repr(layouts).encode()).hexdigest()[:16]
    return layouts, ProblemSet("sign-worlds", {**parameters, "houses": digest}, len(ids), splits, sizes, factors)
