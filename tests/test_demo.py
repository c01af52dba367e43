"""The demonstration from end to end, with hardly any training."""

import re
from pathlib import Path

import cv2
import pytest
import yaml

from dream import cli


def test_the_demo_compares_with_the_bounds_and_draws_a_trial(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.run(["demo", "--run-dir", str(tmp_path / "demo"), "--steps", "1"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"best possible executor \(exact\)\W+0\.300", said)
    assert re.search(r"the optimum \(exact\)\W+0\.800", said)
    assert str(tmp_path / "demo" / "trial.png") in said.replace("\n", "")
    settings = yaml.safe_load((tmp_path / "demo" / "config.yaml").read_text())
    assert settings["evaluation"]["stop_at"] == 0.99 and settings["evaluation"]["every"] <= 50_000
    picture = cv2.imread(str(tmp_path / "demo" / "trial.png"))
    assert picture is not None and picture.shape[0] > 500  # a row for each episode
