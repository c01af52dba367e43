"""The script that trains an end-to-end policy and scores each of its links on the way."""

import math

import pytest

from benchmarks.end_to_end_diagnosis import diagnose
from benchmarks.script import Rows
from dream.config import PRESETS
from dream.errors import UserError
from dream.methods.labels import MethodLabel


def measured(text: str, steps: int = 4000, every: int = 2000, stop_at: float | None = None) -> list[Rows]:
    label = MethodLabel.parse(text)
    return list(diagnose(label, label.config("cooking", 0, PRESETS["debug"] | {"steps": steps}), every, stop_at))


def test_each_link_is_scored_each_time() -> None:
    found = measured("import")
    assert [rows[0]["step"] // 2000 for rows in found] == [1, 2]
    for rows in found:
        values = {row["metric"]: row["value"] for row in rows}
        for name in ("", "_script", "_informed"):
            assert {f"normalised{name}", f"return{name}", f"explore_length{name}"} <= set(values)
        assert values["explore_length_script"] == 8.0
        assert 0 < values["progress_collected"] < 0.1 and 0 < values["progress_replayed"] < 0.1
        assert values["loss/distance"] > 0 and all(math.isfinite(value) for value in values.values())
        assert {row["method"] for row in rows} == {"import"} and {row["split"] for row in rows} == {"train"}


def test_a_memory_that_learns_nothing_and_rewarded_explorations_have_no_score_of_their_own() -> None:
    informed = {row["metric"] for row in measured("import[end_to_end.id_fraction=1.0]", 2000)[0]}
    assert "normalised_informed" in informed and not {"normalised", "normalised_script"} & informed
    rewarded = {row["metric"] for row in measured("rl2[end_to_end.learner=ppo]", 2000)[0]}
    assert "normalised" in rewarded and not {"normalised_script", "progress_replayed"} & rewarded


def test_it_stops_at_the_score_and_refuses_pairs() -> None:
    assert len(measured("e-rl2", stop_at=-100.0)) == 1
    with pytest.raises(UserError, match="dream has no policy for the whole trial"):
        measured("dream")
