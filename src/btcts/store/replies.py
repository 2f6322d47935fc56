"""The shapes of the replies that Redis gives; what answers otherwise is no Redis with TimeSeries."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from redis.exceptions import InvalidResponse

_INFO_NUMBERS = ("used_memory", "maxmemory", "master_last_io_seconds_ago", "master_link_down_since_seconds")

_SERIES_NUMBERS = ("retentionTime", "chunkSize", "totalSamples")


def check(command: Sequence[Any], reply: Any) -> Any:
    """Return the reply to a command, which may be an error.

    Raises:
        InvalidResponse: it has another shape.
    """
    has_shape = _SHAPES.get(command[0])
    if has_shape is None or isinstance(reply, Exception) or has_shape(reply):
        return reply
    raise InvalidResponse(f"no reply to {command[0]}")


def _is_time(reply: Any) -> bool:
    return isinstance(reply, list | tuple) and len(reply) == 2 and all(str(part).isdecimal() for part in reply)


def _is_sample(reply: Any) -> bool:
    return isinstance(reply, list) and len(reply) == 2 and type(reply[0]) is int and type(reply[1]) in (float, int)


def _is_range(reply: Any) -> bool:
    return isinstance(reply, list) and all(map(_is_sample, reply))


def _is_hash(reply: Any) -> bool:
    return isinstance(reply, dict) and all(type(key) is type(value) is str for key, value in reply.items())


def _is_series(reply: Any) -> bool:
    if not isinstance(reply, dict) or any(type(reply.get(name)) is not int for name in _SERIES_NUMBERS):
        return False
    rules, texts = reply.get("rules"), (reply.get("duplicatePolicy"), reply.get("sourceKey"))
    return (
        _is_hash(reply.get("labels"))
        and isinstance(reply.get("chunkType"), str)
        and isinstance(rules, dict)
        and all(isinstance(rule, list) and len(rule) >= 3 for rule in rules.values())
        and all(text is None or isinstance(text, str) for text in texts)
    )


def _is_info(reply: Any) -> bool:
    if not isinstance(reply, dict) or not all(isinstance(reply.get(name, 0), int) for name in _INFO_NUMBERS):
        return False
    modules = reply.get("modules", [])
    return isinstance(modules, list) and all({"name", "ver"} <= module.keys() for module in modules)


def _is_report(reply: Any) -> bool:
    """Tell whether it is what one of our scripts returns: `append` a time and a word, `survey` the time and lists."""
    if not isinstance(reply, list) or len(reply) < 2:
        return False
    if isinstance(reply[0], int):
        return isinstance(reply[1], str) and len(reply) == (4 if reply[1] == "busy" else 2)
    return len(reply) == 3 and _is_time(reply[0]) and all(isinstance(part, list) for part in reply[1:])


_SHAPES: Mapping[str, Callable[[Any], bool]] = {
    "EVALSHA": _is_report,
    "EXISTS": lambda reply: isinstance(reply, int),
    "HEXISTS": lambda reply: isinstance(reply, int),
    "HGET": lambda reply: reply is None or isinstance(reply, str),
    "HGETALL": _is_hash,
    "INFO": _is_info,
    "MEMORY USAGE": lambda reply: reply is None or isinstance(reply, int),
    "RENAMENX": lambda reply: isinstance(reply, int),
    "TIME": _is_time,
    "TS.GET": lambda reply: reply == [] or _is_sample(reply),
    "TS.INFO": _is_series,
    "TS.RANGE": _is_range,
}
