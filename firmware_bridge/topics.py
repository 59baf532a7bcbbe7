"""MQTT topic filters: which device a topic belongs to. Source: MQTT 3.1.1, section 4.7."""

from collections.abc import Mapping
from itertools import zip_longest
from typing import TypeVar

Item = TypeVar("Item")


def is_filter(topic: str) -> bool:
    """Whether it names more than one topic."""
    return bool(set("+#") & set(topic))


def overlap(one: str, other: str) -> bool:
    """Whether there is a topic that both filters match."""
    for a, b in zip_longest(one.split("/"), other.split("/")):
        if a == "#" or b == "#":
            return True
        if a != b and "+" not in (a, b):
            return False
        if a is None or b is None:
            return False
    return True


def matching(items: Mapping[str, Item], topic: str) -> Item | None:
    """The item whose filter matches the topic; filters do not overlap."""
    exact = items.get(topic)
    if exact is not None:
        return exact
    return next((item for name, item in items.items() if overlap(name, topic)), None)
