"""Labels of methods: what they mean, and every way to write one wrongly."""

import pytest

from dream.config import PRESETS, default_config, override
from dream.errors import UserError
from dream.methods.labels import MethodLabel, parse_labels


def test_a_label_is_a_name_and_what_differs():
    label = MethodLabel.parse(" dream[explorer.step_cost=0,some.switch=true] ")
    assert label == MethodLabel("dream", ("explorer.step_cost=0", "some.switch=true"))
    assert str(label) == "dream[explorer.step_cost=0,some.switch=true]"
    assert label.changes() == {"explorer.step_cost": 0, "some.switch": True}
    assert str(MethodLabel.parse("e-rl2")) == "e-rl2" and MethodLabel.parse("rl2").changes() == {}


def test_values_are_json_or_text_and_may_hold_commas():
    label = MethodLabel.parse('x[a.b=[1,2],c={"d":1,"e":2},f=lines,g="3"]')
    assert label.changes() == {"a.b": [1, 2], "c": {"d": 1, "e": 2}, "f": "lines", "g": "3"}


def test_the_config_is_laid_over_the_defaults_in_order():
    label = MethodLabel.parse(
        "dream[explorer.step_cost=0,env_parameters.grid_size=5,env_parameters.x=lines,device=cuda]"
    )
    config = label.config("map", 3, {**PRESETS["debug"], "steps": 77, "env_parameters.x": "other"})
    expected = override(default_config("dream", "map", seed=3), {**PRESETS["debug"], "steps": 77, "device": "cuda"})
    expected = override(expected, {"explorer.step_cost": 0, "env_parameters": {"x": "lines", "grid_size": 5}})
    assert config == expected


@pytest.mark.parametrize(
    ("texts", "settings", "sentence"),
    [
        (["dream["], (), "'dream[' is not a method: write NAME or NAME[SETTING=VALUE,...]"),
        (["dream[]"], (), "is not a method"),
        (["dream cost=0"], (), "is not a method"),
        ([""], (), "is not a method"),
        (["dream[cost]"], (), "'cost' is not of the form NAME=VALUE"),
        (["dream[cost=]"], (), "'cost=' is not of the form NAME=VALUE"),
        (["dream"], ["=3"], "'=3' is not of the form NAME=VALUE"),
        (["dream[a=1,a=2]"], (), "setting 'a' is given twice for dream"),
        (["dream[a=1]"], ["a=2"], "setting 'a' is given twice for dream"),
        (["dream[seed=1]"], (), "'seed' is not a setting of a method: use --methods"),
        (["dream[a=b/c]"], (), "leave out the slash"),
        (["dream", "none", "dream"], (), "dream is given twice in --methods"),
    ],
)
def test_invalid_labels_are_refused(texts: list[str], settings: list[str], sentence: str):
    with pytest.raises(UserError) as refusal:
        parse_labels(texts, settings)
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "dream[explorer.price=0]",
            "dream[explorer.price=0]: unknown setting 'explorer.price' (did you mean 'explorer.step_cost'?)",
        ),
        ("dream[learning.updates_per_round=0.5]", "learning.updates_per_round is 0.5: it must be an integer from 1 to"),
        (
            "dream[learning.updates_per_round=many]",
            "learning.updates_per_round is 'many': it must be an integer from 1 to",
        ),
        ("dream[steps.more=1]", "steps"),
    ],
)
def test_settings_that_do_not_exist_or_fit_are_refused(text: str, sentence: str):
    with pytest.raises(UserError) as refusal:
        MethodLabel.parse(text).config("map", 0, {})
    assert sentence in str(refusal.value)
