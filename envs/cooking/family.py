"""Cooking: fetch two ingredients in order. The problem is what each drawer holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dream.envs import grid
from dream.envs.base import MetaEnv
from dream.envs.cooking.planning import no_exploration_return, optimal_returns
from dream.envs.cooking.scripts import CookingExpert, DrawerExplorer, summary_of_drawers
from dream.envs.grid import Cell
from dream.envs.insight import Expert, Part
from dream.envs.problems import ProblemSet, shuffled_ids
from dream.spaces import integer_space

PROGRESS_REWARD = 0.25
MAX_PROBLEMS = 1_000_000
INGREDIENTS = ("tomato", "carrot", "cheese", "aubergine")


class Cooking(MetaEnv):
    """A kitchen with drawers and a bowl; obs (x, y, status, hand, bowl...), where `ingredients` means empty.

    problem_id in base `ingredients` says what is in each drawer, first drawer the lowest digit. Picking up at a drawer
    fills the hand, at the bowl it empties it; dropping at the bowl puts the hand into the first free place. The recipe
    is drawn with replacement from the drawers' contents. In execution every step costs 0.1; a step of progress (right
    ingredient in the hand, right ingredient in the bowl) gives 0.25 instead; a wrong pick-up or a lost ingredient costs
    0.25 more; ending early costs 0.1 more for each unused step. Defaults are the paper's rules.

    Args:
        num_envs: members.
        grid_size: at least 3; start and bowl in the middle.
        drawers: on the right edge from below, then the left, the top and the bottom one.
        ingredients: kinds of ingredients, at least 2.
        recipe: length of a recipe; the bowl has one place more.
        horizon: steps; 20 by default for the default kitchen, longer in proportion to recipe and grid.
        split: "held-out" keeps a quarter of the kitchens for test and an eighth for validation; every pair of
            contents of two drawers occurs in several training kitchens, so that held-out ones are new combinations of
            known parts. "paper" trains on 63 and tests on kitchen 10 (default kitchen only).
        description: what f reads in training, "drawers", the contents of each drawer, or "id", one-hot ids as in the
            paper. With ids f cannot compose the code of a held-out kitchen from known parts, only g can.
        render_mode: None or "rgb_array".

    Raises:
        ValueError: a parameter that is not allowed, or more than a million kitchens.
    """

    contents: NDArray[np.int64]
    """(problems, drawers) what each drawer holds."""

    summary = "fetch the ingredients of a recipe from drawers whose contents are unknown (64 problems)"
    picture = "dream.envs.cooking.picture:draw"
    default_settings: ClassVar[Mapping[str, Any]] = {"steps": 3_000_000}

    def __init__(
        self,
        num_envs: int,
        grid_size: int = 3,
        drawers: int = 3,
        ingredients: int = 4,
        recipe: int = 2,
        horizon: int | None = None,
        split: str = "held-out",
        description: str = "drawers",
        render_mode: str | None = None,
    ) -> None:
        n = grid_size
        if n < 3:
            raise ValueError(f"grid_size is {n}: cooking needs at least 3")
        if not 1 <= drawers <= 4 * (n - 1):
            raise ValueError(f"drawers is {drawers}: a grid of {n} x {n} has room for 1 to {4 * (n - 1)}")
        if description not in ("drawers", "id"):
            raise ValueError(f"unknown description {description!r}: choose 'drawers' or 'id'")
        if ingredients < 2:
            raise ValueError(f"ingredients is {ingredients}: give at least 2")
        if recipe < 1:
            raise ValueError(f"recipe is {recipe}: give a length of at least 1")
        if ingredients**drawers > MAX_PROBLEMS:
            raise ValueError(
                f"{ingredients} ingredients in {drawers} drawers make {ingredients**drawers} kitchens: "
                f"keep it to {MAX_PROBLEMS}"
            )
        if horizon is None:
            horizon = -(-10 * recipe * n // 3)
        num_problems = ingredients**drawers
        contents = np.arange(num_problems)[:, None] // ingredients ** np.arange(drawers) % ingredients
        problems = ProblemSet(
            family="cooking",
            parameters={
                "grid_size": n,
                "drawers": drawers,
                "ingredients": ingredients,
                "recipe": recipe,
                "horizon": horizon,
                "split": split,
            },
            num_problems=num_problems,
            splits=_splits(split, contents, ingredients),
            factors=(num_problems,) if description == "id" else (ingredients,) * drawers,
            factor_table=np.arange(num_problems)[:, None] if description == "id" else contents,
        )
        super().__init__(
            num_envs,
            problems=problems,
            horizon=horizon,
            observation_space=integer_space([n, n, 4] + [ingredients + 1] * (2 + recipe)),
            instruction_space=gym.spaces.MultiDiscrete([ingredients] * recipe),
            action_names=grid.ACTION_NAMES,
            end_action=grid.END,
            render_mode=render_mode,
        )
        self.grid_size, self.ingredients, self.recipe = n, ingredients, recipe
        self.contents = contents
        self.start = self.bowl = (n // 2, n // 2)
        self.drawers = _drawer_cells(n)[:drawers]
        self._cells = n * n
        self._start = grid.cell_index(self.start, n)
        self._move = grid.move_table(n).reshape(-1)
        drawer_cells = [grid.cell_index(cell, n) for cell in self.drawers]
        self._static_obs = np.zeros((self._cells, 3), np.int16)
        self._static_obs[:, :2] = grid.coordinates(n)
        self._static_obs[self._start, 2] = grid.BOWL
        self._static_obs[drawer_cells, 2] = grid.DRAWER
        # What a pick-up leaves in the hand, by kitchen and cell; -1: as it was.
        self._picked = np.full((num_problems, self._cells), -1, np.int16)
        self._picked[:, self._start] = ingredients
        self._picked[:, drawer_cells] = contents
        self._picked = self._picked.reshape(-1)
        self._without_exploring: dict[str, float] = {}
        self._rows = np.arange(num_envs)
        self._ending = grid.rewards_of_ending(horizon)
        self._cell, self._filled, self._progress = (np.zeros(num_envs, np.int64) for _ in range(3))
        self._hand = np.full(num_envs, ingredients, np.int16)
        self._bowl = np.full((num_envs, recipe + 1), ingredients, np.int16)

    def sample_instruction(self, problem_id: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.int64]:
        """A recipe for each problem, drawn with replacement from its drawers' contents, (N,) -> (N, recipe)."""
        contents = self.contents[problem_id]
        drawn = rng.integers(contents.shape[1], size=(len(contents), self.recipe))
        return np.take_along_axis(contents, drawn, axis=1)

    def check_instruction(self, problem_id: NDArray[np.int64], instruction: NDArray[np.int64]) -> None:
        """Raise ValueError for a recipe (N, recipe) that asks for what no drawer of its kitchen (N,) holds."""
        contents = self.contents[problem_id]
        bad = ~(instruction[:, :, None] == contents[:, None, :]).any(axis=2).all(axis=1)
        if bad.any():
            raise ValueError(
                f"instruction {instruction[bad][0].tolist()} cannot be cooked in problem {problem_id[bad][0]}: its "
                f"drawers hold {contents[bad][0].tolist()}"
            )

    @property
    def _walk(self) -> NDArray[np.int64]:
        """(D + 1, D + 1) steps between the drawers and, last, the bowl."""
        points = np.array([*self.drawers, self.bowl])
        return np.abs(points[:, None] - points[None]).sum(axis=2)

    def optimal_return(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return of fetching every ingredient from its nearest drawer, (N,), (N, recipe) -> (N,).

        Errors as for `MetaEnv`.
        """
        ids = self.problems.checked(problem_id)
        recipes = self._checked_instructions(ids, instruction)
        contents = self.contents[ids]
        return optimal_returns(self._walk[-1, :-1], contents, recipes, self.horizon, grid.STEP_COST, PROGRESS_REWARD)

    def no_exploration_return(self, split: str = "all") -> float:
        """Mean over recipes of the best expected return if the drawers have to be opened while cooking.

        Errors as for `MetaEnv`.
        """
        if split not in self._without_exploring:
            kitchens = self.contents[self.problems.ids(split)]
            self._without_exploring[split] = no_exploration_return(
                self._walk, kitchens, self.ingredients, self.recipe, self.horizon, grid.STEP_COST, PROGRESS_REWARD
            )
        return self._without_exploring[split]

    def belief_return(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> float:
        """Arguments as for `MetaEnv`."""
        return no_exploration_return(
            self._walk,
            self.contents[self.problems.checked(problem_id)],
            self.ingredients,
            self.recipe,
            self.horizon,
            grid.STEP_COST,
            PROGRESS_REWARD,
            recipe=tuple(int(item) for item in instruction),
        )

    def parts(self) -> tuple[Part, ...]:
        """What each drawer holds."""
        contents = self.contents
        names = tuple(ingredient_name(item) for item in range(self.ingredients))
        return tuple(
            Part(f"drawer {i + 1}", contents[:, i], self.ingredients, True, names) for i in range(contents.shape[1])
        )

    def revealed(
        self, problem_id: int, obs: NDArray[Any], action: NDArray[np.integer], scene: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.bool_]:
        """Picking up at a drawer shows its contents, (T + 1, drawers); arguments as for `MetaEnv`."""
        at = np.all(obs[:-1, None, :2] == np.array(self.drawers), axis=2)
        return np.concatenate([np.zeros((1, len(self.drawers)), np.bool_), at & (action == grid.PICK_UP)[:, None]])

    def instruction_name(self, instruction: NDArray[np.integer]) -> str:
        """The recipe, (recipe,) -> such as "tomato, then cheese"."""
        return ", then ".join(ingredient_name(item) for item in instruction)

    def tell(self, problem_id: int, obs: NDArray[Any], action: NDArray[np.integer]) -> list[str]:
        """Walks, and what was taken and put down; arguments as for `MetaEnv`."""
        cells, hand, empty = obs[:, :2].tolist(), obs[:, 3].tolist(), self.ingredients
        drawers = {cell: number + 1 for number, cell in enumerate(self.drawers)}

        def place(t: int) -> str:
            cell = tuple(cells[t])
            number = drawers.get(cell)
            return f"drawer {number}" if number else "the bowl" if cell == self.bowl else f"({cell[0]}, {cell[1]})"

        def other(t: int) -> str:
            before, after, cell = hand[t], hand[t + 1], tuple(cells[t])
            if action[t] == grid.PICK_UP and cell in drawers:
                return f"took {ingredient_name(after)} from drawer {drawers[cell]}"
            if action[t] == grid.PICK_UP and before != after:
                return f"threw away {ingredient_name(before)}"
            if action[t] == grid.DROP and before != after:
                went = not np.array_equal(obs[t, 4:], obs[t + 1, 4:])
                return f"put {ingredient_name(before)} into the bowl" if went else f"spilt {ingredient_name(before)}"
            if action[t] == grid.DROP and before < empty:
                return "kept what it held"
            return grid.WORDS[int(action[t])]

        return grid.tell(obs, action, place, other)

    def exploration_summary(
        self,
        problem_id: NDArray[np.integer],
        obs: NDArray[Any],
        action: NDArray[np.integer],
        mask: NDArray[np.bool_],
    ) -> dict[str, NDArray[np.float64]]:
        """See `summary_of_drawers`; arguments as for `MetaEnv`."""
        return summary_of_drawers(self, obs, action, mask)

    def positions(self, obs: NDArray[Any]) -> NDArray[np.float64]:
        """Cells, (..., D) -> (..., 2)."""
        return grid.positions(obs)

    @property
    def map_extent(self) -> tuple[float, float, float, float]:
        """The grid, whose cells are centred on whole numbers."""
        return grid.map_extent(self.grid_size)

    def instruction_probability(
        self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """Product over the recipe of the share of the drawers that hold it, (N,), (N, recipe) -> (N,)."""
        contents = self.contents[problem_id]
        return (contents[:, None, :] == np.asarray(instruction)[:, :, None]).mean(axis=2).prod(axis=1)

    def expert(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> Expert:
        """Fetches each ingredient from the nearest drawer that holds it. Arguments and errors as for `MetaEnv`."""
        return CookingExpert(self, self.problems.checked(problem_id), np.asarray(instruction, np.int64))

    def believer(self, problem_id: NDArray[np.integer], instruction: NDArray[np.integer]) -> Expert:
        """Fetches each ingredient where it is believed to be, again and again; as for `MetaEnv`."""
        return CookingExpert(self, self.problems.checked(problem_id), np.asarray(instruction, np.int64), corrects=False)

    def scripted_explorer(self, num: int) -> Expert:
        """Opens all drawers."""
        return DrawerExplorer(self, num)

    def _begin(self, members: NDArray[np.int64]) -> NDArray[Any]:
        self._cell[members] = self._start
        self._hand[members] = self.ingredients
        self._bowl[members] = self.ingredients
        self._filled[members] = 0
        self._progress[members] = 0
        self._picked_row = self.problem_id * self._cells
        return self._observe()

    def _advance(self, actions: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.bool_]]:
        self._cell = self._move.take(actions * self._cells + self._cell)
        picking = actions == grid.PICK_UP
        picked = self._picked.take(self._picked_row + self._cell)
        self._hand = np.where(picking & (picked >= 0), picked, self._hand)
        at_bowl = self._cell == self._start
        dropping = np.flatnonzero((actions == grid.DROP) & at_bowl & (self._hand < self.ingredients))
        if len(dropping):
            fits = dropping[self._filled[dropping] <= self.recipe]
            self._bowl[fits, self._filled[fits]] = self._hand[fits]
            self._filled[fits] += 1
            self._hand[dropping] = self.ingredients
        if self.phase == "explore":
            nothing = np.zeros(self.num_envs, np.float32)
            return self._observe(), nothing, nothing.astype(np.bool_)
        reward = grid.step_reward(actions, self._ending.take(self.elapsed)) + self._judge(picking)
        return self._observe(), reward, self._progress == 2 * self.recipe

    def _judge(self, picking: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Update `_progress`; what it adds to the reward of the step, (B,)."""
        item, carrying = np.divmod(self._progress, 2)
        np.minimum(item, self.recipe - 1, out=item)  # frozen members, whose result is ignored
        wanted = self.instruction[self._rows, item]
        has_it = self._hand == wanted
        good = np.where(carrying == 1, self._bowl[self._rows, item] == wanted, has_it)
        bad = np.where(carrying == 1, ~has_it, picking) & ~good
        self._progress += good
        self._progress -= bad & (carrying == 1)
        return good * np.float32(PROGRESS_REWARD + grid.STEP_COST) - bad * np.float32(PROGRESS_REWARD)

    def _observe(self) -> NDArray[np.int16]:
        return np.concatenate([self._static_obs.take(self._cell, axis=0), self._hand[:, None], self._bowl], axis=1)


def ingredient_name(item: int) -> str:
    """What the pictures show: tomato, carrot, cheese, aubergine; from the fifth on a letter."""
    return INGREDIENTS[item] if item < len(INGREDIENTS) else chr(ord("A") + int(item) % 26)


def _drawer_cells(n: int) -> tuple[Cell, ...]:
    """The border cells in the order in which drawers take them."""
    right = [(n - 1, y) for y in range(n)]
    left = [(0, y) for y in range(n)]
    top = [(x, n - 1) for x in range(1, n - 1)]
    return tuple(right + left + top + [(x, 0) for x in range(1, n - 1)])


def _splits(split: str, contents: NDArray[np.int64], ingredients: int) -> dict[str, NDArray[np.int64]]:
    ids = np.arange(len(contents))
    if split == "paper":
        if contents.shape[1] != 3 or ingredients != 4:
            raise ValueError("split 'paper' is for 4 ingredients in 3 drawers: use split 'held-out' for other kitchens")
        train = ids[ids != 10]
        return {"train": train, "validation": train, "test": ids[10:11]}
    if split != "held-out":
        raise ValueError(f"unknown split {split!r}: choose 'held-out' or 'paper'")
    for least in (2, 1, 0):
        for salt in range(20):
            held_out = _held_out(contents, ingredients, least, salt)
            if held_out is None:
                continue
            test, validation = held_out
            train = np.setdiff1d(ids, np.concatenate(held_out))
            if all(len(np.unique(drawer)) == ingredients for drawer in contents[train].T):
                return {"train": train, "validation": validation, "test": test}
    raise ValueError(f"{len(ids)} kitchens are too few to hold some out: take more drawers or ingredients")


def _held_out(
    contents: NDArray[np.int64], ingredients: int, least: int, salt: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """A quarter of the kitchens for test and an eighth for validation, in an order that depends on `salt` alone.

    Each pair of contents of two drawers occurs in at least `least` training kitchens. If it occurred in one only, two
    drawers would determine the third in training (an explorer could leave it closed), but not in held-out kitchens.

    Returns:
        test, validation, sorted ids; None where there are not enough such kitchens.
    """
    sizes = [max(1, len(contents) // 4), max(1, len(contents) // 8)]
    if sum(sizes) >= len(contents):
        return None
    first, second = np.triu_indices(contents.shape[1], 1)
    pairs = contents[:, first] * ingredients + contents[:, second] + np.arange(len(first)) * ingredients**2
    left = np.bincount(pairs.reshape(-1), minlength=len(first) * ingredients**2)
    taken: list[int] = []
    for kitchen in shuffled_ids(len(contents), salt):
        if len(taken) < sum(sizes) and (left[pairs[kitchen]] > least).all():
            left[pairs[kitchen]] -= 1
            taken.append(int(kitchen))
    if len(taken) < sum(sizes):
        return None
    return np.sort(taken[: sizes[0]]), np.sort(taken[sizes[0] :])
