"""Textures and meshes: files of the miniworld package, found without importing it (which would open OpenGL)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from dream.errors import UserError

TINTS: Mapping[str, tuple[float, float, float]] = {
    "red": (0.95, 0.5, 0.45),
    "yellow": (0.95, 0.85, 0.45),
    "green": (0.5, 0.85, 0.45),
    "teal": (0.45, 0.85, 0.85),
    "blue": (0.45, 0.6, 1.0),
    "purple": (0.75, 0.5, 0.9),
}
"""What red, green and blue of a tinted texture are multiplied by."""


@cache
def package_folder() -> Path:
    """Folder of the installed miniworld package. Raises UserError when it is not installed."""
    spec = find_spec("miniworld")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            "The 3D worlds take their textures and meshes from the miniworld package, which is not installed: "
            "pip install 'miniworld==2.1.0' 'pyglet<2'"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def texture_file(name: str) -> Path:
    """The PNG of a texture: a name without its number ("concrete", "chars/ch_0x66") or a path of its own.

    Raises ValueError when there is none.
    """
    path = Path(name) if name.endswith(".png") else package_folder() / "textures" / f"{name}_1.png"
    if not path.is_file():
        raise ValueError(f"there is no texture {name!r}: give the name of one in {package_folder() / 'textures'}")
    return path


def mesh_file(name: str) -> Path:
    """The .obj file of a mesh ("key_blue"). Raises ValueError when there is none."""
    path = package_folder() / "meshes" / f"{name}.obj"
    if not path.is_file():
        raise ValueError(f"there is no mesh {name!r}: give the name of one in {path.parent}")
    return path
