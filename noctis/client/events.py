"""Server-sent events, read line by line (WHATWG HTML, 9.2.6)."""

from dataclasses import dataclass

__all__ = ["Event", "Events"]


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a stream; ``id`` is that of the last event that had one."""

    name: str
    data: str
    id: str


class Events:
    """Puts events together from lines without their ends."""

    def __init__(self) -> None:
        self._name = ""
        self._data: list[str] = []
        self._id = ""

    def take(self, line: str) -> Event | None:
        """Take a line; return the event that it ends, where it ends one."""
        if not line:
            return self._ended()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def _ended(self) -> Event | None:
        name, data = self._name or "message", self._data
        self._name, self._data = "", []
        return Event(name, "\n".join(data), self._id) if data else None
