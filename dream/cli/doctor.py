"""`dream doctor`: what works on this machine."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from dream.cli.arguments import parse
from dream.cli.printing import print_json
from dream.cli.tables import print_table


@dataclass(frozen=True)
class DoctorArguments:
    """Arguments of `dream doctor`."""

    frames: Path | None = None
    """only compare our renderer with the MiniWorld frames of sign in this .npz file"""
    json: bool = False
    """print one JSON object"""


def command(arguments: list[str]) -> int:
    """Check this machine: versions, devices, video; say what to install. Exit code 0 if everything required works.

    Example: dream doctor --json
    """
    given = parse(DoctorArguments, arguments, "doctor", command)
    if given.frames is not None:
        return _compare_frames(given.frames, given.json)
    from dream.tools.doctor import examine

    checks = examine()
    healthy = all(check.status != "failed" for check in checks)
    if given.json:
        print_json({"ok": healthy, "checks": [dataclasses.asdict(check) for check in checks]})
        return 0 if healthy else 1
    colours = {"ok": "green", "warning": "yellow", "failed": "red"}
    rows = [(check.status, check.name, check.found, check.advice) for check in checks]
    advice = any(check.advice for check in checks)
    headings = ("", "component", "found", "what to do")
    styles = [colours[check.status] for check in checks]
    print_table(headings if advice else headings[:3], rows, title="dream doctor", styles=styles)
    if not healthy:
        print("A required check failed: see the lines marked failed.")
    else:
        print("Everything needed works.")
    return 0 if healthy else 1


def _compare_frames(path: Path, as_json: bool) -> int:
    from dream.envs.sign.check import compare_frames

    error = compare_frames(path).error
    found = {
        "frames": len(error),
        "mean_abs_error": float(error.mean()),
        "worst_frame_error": float(error.max()),
        "worst_frame": int(error.argmax()),
    }
    if as_json:
        print_json(found)
    else:
        print(
            f"{found['frames']} frames: mean absolute error {found['mean_abs_error']:.3f} of 255, worst frame "
            f"{found['worst_frame_error']:.3f} (number {found['worst_frame']})."
        )
    return 0
