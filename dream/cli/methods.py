"""`dream methods`: the methods."""

from __future__ import annotations

from dream.cli.arguments import ListArguments, parse
from dream.cli.printing import print_json
from dream.cli.tables import print_table


def command(arguments: list[str]) -> int:
    """List the methods: what they are, how they explore, and the paper they come from.

    Example: dream methods --json
    """
    given = parse(ListArguments, arguments, "methods", command)
    from dream.methods.registry import METHODS

    found = [
        {"method": name, "summary": spec.summary, "explores": spec.exploration, "paper": spec.paper}
        for name, spec in METHODS.items()
    ]
    if given.json:
        print_json({"methods": found})
        return 0
    headings = ("method", "description", "exploration", "source")
    print_table(headings, [list(method.values()) for method in found], title="Methods", ruled=range(len(found)))
    print("Train one: dream train dream --env bus")
    print("Compare several: dream compare --env bus --methods dream rnd")
    return 0
