"""Settings: every number has a range, and a value outside is refused by name wherever it comes from."""

import math
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest

from dream import cli
from dream.config import SETTINGS, LearningConfig, Range, TrainConfig, config_from_dict, override
from dream.config.names import OTHER_NAMES, suggest
from dream.config.ranges import kinds, plain_type, range_of
from dream.config.settings import SECTIONS
from dream.errors import UserError
from dream.methods.labels import MethodLabel


def kind_of(name: str) -> Any:
    section, _, last = name.rpartition(".")
    return kinds(SECTIONS[section] if section else TrainConfig)[last]


def test_every_setting_is_of_a_type_that_is_checked() -> None:
    """A bool, for example, would take any value."""
    for name in SETTINGS:
        plain = plain_type(kind_of(name))
        assert plain in (int, float, str) or get_origin(plain) in (Literal, Mapping), name


NUMBERS = [name for name in SETTINGS if plain_type(kind_of(name)) in (int, float)]
TOGETHER = {
    # What else must change for a value at the border of its own range.
    "executor.empty_fraction": {"executor.prefix_fraction": 0},
    "executor.prefix_fraction": {"executor.empty_fraction": 0},
    "learning.num_envs": {"learning.buffer_size": 100_000},
    "learning.buffer_size": {"learning.num_envs": 2, "learning.learning_starts": 0},
    "learning.learning_starts": {"learning.buffer_size": 10_000_000},
}


def value_of(config: TrainConfig, name: str) -> Any:
    section, _, last = name.rpartition(".")
    return getattr(getattr(config, section) if section else config, last)


def optional(name: str) -> bool:
    """Whether a setting may be None."""
    return type(None) in get_args(kind_of(name).__origin__)


def borders(name: str) -> tuple[list[float], list[float]]:
    """Values of a setting just inside and just outside its range."""
    limits, whole = range_of(kind_of(name)), plain_type(kind_of(name)) is int
    assert limits is not None

    def step(value: float, towards: float) -> float:
        return value + math.copysign(1, towards) if whole else float(np.nextafter(value, towards))

    inside = [step(limits.low, math.inf) if limits.above else limits.low, limits.high]
    outside = [limits.low if limits.above else step(limits.low, -math.inf), step(limits.high, math.inf)]
    if name == "learning.buffer_size":  # the smallest replay buffer holds the smallest round
        inside[0] = 2
    return inside, outside


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_has_a_range_whose_borders_are_allowed_and_nothing_beyond(name: str) -> None:
    assert range_of(kind_of(name)) is not None, f"{name} needs a Range beside its type"
    inside, outside = borders(name)
    for value in inside:
        assert value_of(override(TrainConfig(), {**TOGETHER.get(name, {}), name: value}), name) == value
    none = [] if optional(name) else [None]
    for value in [*outside, *none, math.nan, math.inf, -math.inf, 10**400, "1", True, [1], {"a": 1}]:
        with pytest.raises(UserError) as refusal:
            override(TrainConfig(), {name: value})
        assert str(refusal.value).startswith(f"{name} is ") and "it must be" in str(refusal.value)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_default_lies_in_its_range(name: str) -> None:
    limits, default = range_of(kind_of(name)), value_of(TrainConfig(), name)
    assert limits is not None and (default in limits if default is not None else optional(name))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("explorer.epsilon_min", math.nan),
        ("executor.epsilon_min", 0),
        ("explorer.min_explained", math.nan),
        ("explorer.gamma", 1.5),
        ("executor.priority_exponent", math.inf),
        ("learning.updates_per_round", -1),
        ("learning.learning_rate", -1),
        ("learning.weight_decay", math.nan),
        ("learning.num_envs", 0),
        ("learning.num_envs", 1),
        ("learning.max_grad_norm", math.nan),
        ("learning.tau", math.nan),
        ("learning.explore_batch_size", 0),
        ("learning.execute_batch_size", 0),
        ("evaluation.every", 0),
        ("evaluation.checkpoint_every", 0),
        ("evaluation.trials", 0),
        ("network.width", 0),
        ("network.width", 10**12),
        ("network.memory_size", 0),
        ("bottleneck.z_dim", 0),
        ("bottleneck.noise_std", 0),
        ("executor.lambda_", math.nan),
        ("trial.explore_episodes", -1),
        ("trial.execute_episodes", 0),
        ("threads", 100_000),
        ("steps", 0),
        ("steps", 10**13),
        ("seed", -5),
        ("learning.buffer_size", 1),
        ("learning.learning_starts", 10_001),
    ],
)
def test_a_value_that_would_spoil_a_run_is_refused(name: str, value: float) -> None:
    with pytest.raises(UserError, match=f"^{name} is "):
        override(TrainConfig(), {name: value})


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("network.memory", "gru", "one of lstm, transformer"),
        ("executor.context", 3, "one of id, instruction"),
        ("device", 3, "a text"),
        ("method", "", "a text"),
        ("env", "map\x1b[31m", "a text of printable characters"),
        ("env", "map\udcff", "a text of printable characters"),
        ("env_parameters", 4, "a mapping"),
        ("env_parameters", ["grid_size"], "a mapping"),
    ],
)
def test_a_choice_or_a_text_is_checked_too(name: str, value: Any, allowed: str) -> None:
    with pytest.raises(UserError) as refusal:
        override(TrainConfig(), {name: value})
    assert str(refusal.value).startswith(f"{name} is ") and allowed in str(refusal.value)


@pytest.mark.parametrize(
    "parameters",
    [{3: 4}, {"a b": 1}, {"a": math.nan}, {"a": [1, math.inf]}, {"a": {"b": 1}}, {"a": [[math.nan]]}, {"a": {1}}],
)
def test_a_parameter_of_a_family_is_plain_data(parameters: dict[Any, Any]) -> None:
    with pytest.raises(UserError, match=r"^env_parameters"):
        override(TrainConfig(), {"env_parameters": parameters})


def test_a_parameter_of_a_family_may_be_a_list_of_lists_but_none_that_holds_itself() -> None:
    facts = [[3, 2, True], [0, 32, False]]
    assert TrainConfig(env_parameters={"facts": facts}).env_parameters == {"facts": facts}
    endless: list = [1]
    endless.append(endless)
    with pytest.raises(UserError, match=r"^env_parameters\.facts is \[1, .*: it must be at most 10,000 values$"):
        TrainConfig(env_parameters={"facts": endless})


def test_settings_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(UserError, match=r"buffer_size is 100: .* at least learning.num_envs = 128"):
        LearningConfig(buffer_size=100)
    with pytest.raises(UserError, match=r"learning_starts is 201: .* at most learning.buffer_size = 200"):
        LearningConfig(buffer_size=200, learning_starts=201)
    LearningConfig(buffer_size=200, learning_starts=200)
    LearningConfig(buffer_size=128, learning_starts=0)
    with pytest.raises(UserError, match=r"network.width is 12: .* a multiple of 8"):
        override(TrainConfig(), {"network.memory": "transformer", "network.width": 12})
    override(TrainConfig(), {"network.memory": "lstm", "network.width": 12})
    override(TrainConfig(), {"network.memory": "transformer", "network.width": 16})


def test_numbers_are_stored_as_the_type_of_their_setting() -> None:
    config = override(TrainConfig(seed=np.int64(3)), {"steps": 1e6, "learning.weight_decay": 1})
    assert (config.steps, type(config.steps), type(config.seed)) == (1_000_000, int, int)
    assert type(config.learning.weight_decay) is float
    with pytest.raises(UserError, match=r"steps is 1.5: it must be an integer"):
        TrainConfig(steps=1.5)  # type: ignore[arg-type]


def test_nan_lies_in_no_range_and_above_excludes_the_lower_border() -> None:
    assert math.nan not in Range(0, 1) and 0 in Range(0, 1) and 1 in Range(0, 1)
    assert 0 not in Range(0, 1, above=True) and 1e-12 in Range(0, 1, above=True)
    assert str(Range(0, 1)) == "from 0 to 1" and str(Range(0, 1000, above=True)) == "above 0 and at most 1,000"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"learning": 3}, "learning is 3: it must be a group of settings (num_envs, "),
        ({"learning": [1]}, "learning is [1]: it must be a group"),
        ({"learning": {"num_envs": "many"}}, "learning.num_envs is 'many': it must be an integer from 2 to"),
        ({"learning": {"num_envs": {"a": 1}}}, "learning.num_envs is {'a': 1}: it must be an integer"),
        ({"learning": {3: 4}}, "unknown setting 'learning.3'"),
        ({"network": {"width": 10**12}}, "network.width is 1000000000000: it must be an integer from 1 to 8,192"),
        ({7: 1}, "unknown setting '7'"),
        ({"env": ["map"]}, "env is ['map']: it must be a text"),
        ({"explorer": {"gamma": math.nan}}, "explorer.gamma is nan: it must be a number from 0 to 1"),
    ],
)
def test_a_config_file_with_wrong_values_is_refused_by_the_name_of_the_setting(values, sentence: str) -> None:
    with pytest.raises(UserError) as refusal:
        config_from_dict(values)
    assert sentence in str(refusal.value)


def test_a_configuration_is_read_back_as_written() -> None:
    config = override(TrainConfig(), {"explorer.gamma": 0.5, "env_parameters.grid_size": 5, "network.width": 8})
    assert config_from_dict(config.as_dict()) == config
    assert config_from_dict({"learning": {"tau": 0.5}}) == override(TrainConfig(), {"learning.tau": 0.5})


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "dream", "--env", "map", "--explorer.gamma", "1.5"],
        ["train", "dream", "--env", "map", "--explorer.gamma", "nan"],
        ["compare", "--env", "map", "--methods", "dream", "--set", "explorer.gamma=1.5"],
        ["compare", "--env", "map", "--methods", "dream[explorer.gamma=NaN]"],
        ["compare", "--env", "map", "--methods", 'dream[explorer.gamma="0.5"]'],
    ],
)
def test_every_command_refuses_a_value_out_of_range(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    assert cli.run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "explorer.gamma is " in err and "a number from 0 to 1" in err
    assert not list(Path().iterdir())


def test_the_page_of_settings_is_what_the_settings_say() -> None:
    root = Path(__file__).resolve().parent.parent
    page = runpy.run_path(str(root / "docs" / "make_settings.py"))["page"]()
    assert (root / "docs" / "settings.md").read_text(encoding="utf-8") == page, "run python docs/make_settings.py"
    assert all(f"| `{name}` |" in page for name in SETTINGS)
    assert "| `explorer.gamma` | 0.95 | number from 0 to 1 | discount factor of the exploration reward |" in page
    assert all(line.count("|") in (4, 5) for line in page.splitlines() if line.startswith("| "))


def test_a_label_says_which_method_has_the_wrong_value() -> None:
    with pytest.raises(UserError, match=r"^dream\[steps=0\]: steps is 0: it must be"):
        MethodLabel.parse("dream[steps=0]").config("map", 0, {})
    changes = {"learning.buffer_size": 10, "learning.learning_starts": 10}  # fit the label's num_envs, not the default
    assert MethodLabel.parse("dream[learning.num_envs=10]").config("map", 0, changes).learning.num_envs == 10


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("learning.lr", "learning.learning_rate"),
        ("lr", "learning.learning_rate"),
        ("learning.updats", "learning.updates_per_round"),
        ("learning.batch_size", "learning.explore_batch_size"),
        ("learning.clip", "learning.max_grad_norm"),
        ("explorer.price", "explorer.step_cost"),
        ("executor.epsilon-low", "executor.epsilon_min"),
        ("executor.learning_rate", "learning.learning_rate"),
        ("network.core", "network.memory"),
        ("members", "learning.num_envs"),
        ("step", "steps"),
        ("something", None),
    ],
)
def test_a_setting_of_another_name_is_suggested(given: str, meant: str | None) -> None:
    assert suggest(given, SETTINGS) == meant


def test_other_names_stand_for_settings_and_are_none() -> None:
    names = {name.rpartition(".")[2] for name in SETTINGS}
    assert set(OTHER_NAMES.values()) <= names and not names & OTHER_NAMES.keys()
