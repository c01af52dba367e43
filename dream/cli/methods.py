"""`dream methods`: the methods there are."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from dream.cli.arguments import ListArguments, parse
from dream.cli.printing import print_json


def command(arguments: list[str]) -> int:
    """List the methods: what they are, how they explore, where they come from.

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
    table = Table("method", "what it is", "explores", "from", title="Methods", show_lines=True)
    for method in found:
        table.add_row(*method.values())
    Console().print(table)
    return 0
