"""How a script ends when its user has something to put right: with one sentence and exit code 2, like `dream`."""

from __future__ import annotations

import sys
from collections.abc import Callable

from dream.errors import UserError


def run_script(main: Callable[[], None]) -> None:
    """Run a script's main function."""
    try:
        main()
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
