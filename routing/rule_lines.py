"""Where in its YAML a member of a rule set stands, so that a finding can point at a line. Pure."""

import re
from collections.abc import Iterator, Mapping

import yaml

_LINE = re.compile(r"line (\d+)")


def lines_of(text: str) -> dict[str, int]:
    """Line (from 1) of every member by its path as the reader and the checker write it.

    `ruleset.valid_to`, `leads[3].lead`, `leads[light].lead`, and `light` for the rule of that code. Empty for what is
    no YAML.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        return {} if root is None else dict(_walk(root, ""))
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}


def line_of(where: str, lines: Mapping[str, int]) -> int | None:
    """The line of the nearest member that `where` names: itself, else what it stands in, else the first of several."""
    path = where.partition(", ")[0]
    while path:
        if path in lines:
            return lines[path]
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return None


def line_in(message: str) -> int | None:
    """The last line that a message of the YAML reader names: where it gave up."""
    found = _LINE.findall(message)
    return int(found[-1]) if found else None


def has_aliases(text: str) -> bool:
    """Whether a member repeats another by an alias, which makes a small text stand for a huge one."""
    try:
        return any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return False


def _walk(node: yaml.Node, path: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                inner = f"{path}.{key.value}" if path else key.value
                yield inner, key.start_mark.line + 1
                yield from _walk(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            numbered = f"{path}[{index}]"
            yield numbered, item.start_mark.line + 1
            yield from _walk(item, numbered)
            for name in _names(item):
                yield f"{path}[{name}]", item.start_mark.line + 1
                yield from _walk(item, f"{path}[{name}]")
                if path in ("leads", "limits"):
                    yield name, item.start_mark.line + 1


def _names(item: yaml.Node) -> list[str]:
    """What an item of a list is called by: its code, or the track it is of."""
    if not isinstance(item, yaml.MappingNode):
        return []
    return [
        value.value
        for key, value in item.value
        if isinstance(key, yaml.ScalarNode) and key.value in ("code", "track") and isinstance(value, yaml.ScalarNode)
    ]
