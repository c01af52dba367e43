"""The demonstration from end to end, with hardly any training."""

import re
from pathlib import Path

import cv2
import pytest

from dream import cli


def test_the_demo_compares_with_the_bounds_and_draws_a_trial(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.run(["demo", "--run-dir", str(tmp_path / "demo"), "--steps", "1"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"best executor there can be \(exact\)\W+0\.300", told)
    assert re.search(r"the optimum \(exact\)\W+0\.800", told)
    assert str(tmp_path / "demo" / "trial.png") in told.replace("\n", "")
    picture = cv2.imread(str(tmp_path / "demo" / "trial.png"))
    assert picture is not None and picture.shape[0] > 500  # a row for each episode
