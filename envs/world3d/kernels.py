"""How the kernels are compiled."""

from __future__ import annotations

from typing import Any

from numba import njit
from numba.core.cpu import CPUTargetOptions

OPTIONS: dict[str, Any] = {"error_model": "numpy"}
"""Division by zero gives infinity, as in numpy."""
if hasattr(CPUTargetOptions, "_nrt"):
    # Kernels allocate nothing. Without this, each mention of an array of a tuple counts its references, atomically:
    # half of the time of a frame.
    OPTIONS["_nrt"] = False

kernel = njit(**OPTIONS)
"""Decorator: compile a function together with its callers."""
inlined = njit(forceinline=True, **OPTIONS)
"""As `kernel`, and inlined: calls are free, but each call site adds to the time of compiling."""
