"""What works on this machine, and how to fix what does not."""

from __future__ import annotations

import importlib
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

MODULES = {
    "torch": "torch",
    "numpy": "numpy",
    "gymnasium": "gymnasium",
    "numba": "numba",
    "scipy": "scipy",
    "einops": "einops",
    "opencv-python-headless": "cv2",
    "matplotlib": "matplotlib",
    "tensorboard": "torch.utils.tensorboard",
    "tyro": "tyro",
    "rich": "rich",
    "safetensors": "safetensors.torch",
    "pyyaml": "yaml",
}
"""Distribution -> what is imported from it."""


@dataclass(frozen=True)
class Check:
    """One check and its outcome."""

    name: str
    status: Literal["ok", "warning", "failed"]
    found: str
    advice: str = ""


def examine() -> list[Check]:
    """Run all checks. One that fails unexpectedly is reported as failed; none raises."""
    tested = tested_versions()
    checks = [Check("python", "ok", platform.python_version())]  # pip refuses to install on an older one
    checks += [_package(name, module, tested.get(name)) for name, module in MODULES.items()]
    for name, look in LOOKS.items():
        try:
            checks.append(look())
        except Exception as error:  # reported, so that the other checks still run
            checks.append(Check(name, "failed", f"{type(error).__name__}: {error}", "see the lines above"))
    return checks


def tested_versions() -> dict[str, str]:
    """Distribution -> version the toolkit was tested with; empty for an installation without its constraints.txt."""
    path = Path(__file__).resolve().parents[2] / "constraints.txt"
    if not path.is_file():
        return {}
    pairs = re.findall(r"^([\w.-]+)==(\S+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name.lower(): number for name, number in pairs}


def _package(name: str, module: str, tested: str | None) -> Check:
    install = f"pip install '{name}=={tested}'" if tested else f"pip install {name}"
    try:
        found = version(name)
        importlib.import_module(module)
    except PackageNotFoundError:
        return Check(name, "failed", "not installed", install)
    except Exception as error:  # a broken library may raise anything when imported
        return Check(name, "failed", f"cannot be imported: {error}", f"reinstall it: {install} --force-reinstall")
    if tested and found.partition("+")[0] != tested:
        return Check(name, "warning", found, f"tested with {tested}; if something fails: {install}")
    return Check(name, "ok", found)


def _dream() -> Check:
    """One copy of the package, with its four folders, and the families registered."""
    import gymnasium

    from dream.envs import families, make

    missing = [folder for folder in ("envs", "exploration", "execution", "eval") if not _importable(f"dream.{folder}")]
    if missing:
        advice = "the links in dream/ are broken: clone with git, on a file system that has symbolic links"
        return Check("dream", "failed", f"no {', '.join(missing)}", advice)
    for family in families():
        env = make(family, 2)
        env.reset(seed=0)
        env.step(env.action_space.sample())
    registered = [name for name in gymnasium.registry if name.startswith("dream/")]
    here = Path(__file__).resolve().parents[1]
    places = {Path(place or ".").resolve() / "dream" for place in sys.path}
    others = [place for place in places if (place / "__init__.py").is_file() and place != here]
    if others:
        return Check("dream", "warning", f"used: {here}; another: {others[0]}", "remove the one you do not use")
    return Check("dream", "ok", f"{version('dream-metarl')}, {len(registered)} families")


def _importable(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def _torch() -> Check:
    import torch

    size = torch.ones(8, 8)
    if float((size @ size).sum()) != 512.0:
        return Check("torch on the CPU", "failed", "a matrix product is wrong", "reinstall torch")
    found = f"{torch.get_num_threads()} threads of {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}"
    return Check("torch on the CPU", "ok", found)


def _cuda() -> Check:
    import torch

    if not torch.cuda.is_available():
        built = f"torch is built for CUDA {torch.version.cuda}" if torch.version.cuda else "torch is built without it"
        return Check("CUDA", "ok", f"none ({built}): training runs on the CPU")
    names = ", ".join(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
    torch.ones(1, device="cuda").add_(1)
    return Check("CUDA", "ok", f"{names} (CUDA {torch.version.cuda}): train with --device cuda")


def _video() -> Check:
    """Write a film with each codec that browsers play."""
    import cv2
    import numpy as np

    frame = np.zeros((64, 64, 3), np.uint8)
    works = []
    from dream.eval.show.video import without_stderr

    with tempfile.TemporaryDirectory() as folder, without_stderr():
        for codec in ("VP80", "VP90"):
            path = Path(folder, f"{codec}.webm")
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 4.0, (64, 64))
            for _ in range(4):
                writer.write(frame)
            writer.release()
            if path.is_file() and path.stat().st_size > 0:
                works.append(codec)
    if not works:
        advice = "pip install --force-reinstall opencv-python-headless"
        return Check("video", "warning", "neither VP80 nor VP90 can be written", advice)
    return Check("video", "ok", " and ".join(works))


def _disk() -> Check:
    here = Path.cwd()
    try:
        with tempfile.TemporaryFile(dir=here):
            pass
    except OSError as error:
        advice = "go to another directory, or use --run-dir"
        return Check("this directory", "failed", f"cannot be written ({error.strerror})", advice)
    free = shutil.disk_usage(here).free / 1e9
    if free < 1:
        return Check("this directory", "warning", f"{free:.1f} GB free", "free some space: a run may need 1 GB")
    return Check("this directory", "ok", f"writable, {free:.0f} GB free")


LOOKS: dict[str, Callable[[], Check]] = {
    "dream": _dream,
    "torch on the CPU": _torch,
    "CUDA": _cuda,
    "video": _video,
    "this directory": _disk,
}
