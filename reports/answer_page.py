"""The page of a score's answer, and its JSON schema, both from the dataclasses of the answer."""

from __future__ import annotations

import dataclasses
import json
import re
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from models.answer import SCHEMA, Answer
from reports.pieces import code, prose, table

SCHEMA_FILE = "score.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
}
_FIELD = re.compile(r"^ {8}(\w[\w, ]*): (.+(?:\n {12}.+)*)", re.MULTILINE)


def body() -> str:
    """The page, without its title."""
    parts = [f"## {kind.__name__}\n\n{_first(kind)}\n\n{_fields(kind)}" for kind in _kinds(Answer)]
    return f"""What `python -m models.score --format json` and the service give: `{SCHEMA}`. A field
that is added keeps the version; one that goes, or means something else, raises it. The same as a
JSON schema: [{SCHEMA_FILE}]({SCHEMA_FILE}). Probabilities are from 0 to 1, contributions from -1 to
1, dates are YYYY-MM-DD.

{chr(10).join(part + chr(10) for part in parts)}"""


def files() -> dict[str, str]:
    """The schema, by the name of its file."""
    return {SCHEMA_FILE: json.dumps(schema(), indent=1) + "\n"}


def schema() -> dict[str, Any]:
    """The JSON schema of an answer."""
    kinds = {kind.__name__: _object(kind) for kind in _kinds(Answer)}
    top = kinds.pop(Answer.__name__)
    top["properties"]["schema"] = {"const": SCHEMA}
    return {"$schema": DIALECT, "title": SCHEMA, **top, "$defs": kinds}


def _object(kind: type) -> dict[str, Any]:
    hints = _hints(kind)
    return {
        "type": "object",
        "properties": {name: _schema_of(hint) for name, hint in hints.items()},
        "required": list(hints),
        "additionalProperties": True,
    }


def _hints(kind: type) -> dict[str, Any]:
    """Fields of a dataclass and their types, in order."""
    found = get_type_hints(kind)
    return {field.name: found[field.name] for field in dataclasses.fields(kind)}


def _schema_of(hint: Any) -> dict[str, Any]:
    origin, inside = get_origin(hint), get_args(hint)
    if hint in PLAIN:
        return dict(PLAIN[hint])
    if dataclasses.is_dataclass(hint):
        return {"$ref": f"#/$defs/{getattr(hint, '__name__', '')}"}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema_of(one) for one in inside]}
    if origin is Literal:
        return {"enum": list(inside)}
    if origin is tuple:
        return {"type": "array", "items": _schema_of(inside[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema_of(inside[1])}
    raise TypeError(f"{hint} has no place in an answer")


def _kinds(kind: type) -> list[type]:
    """A dataclass and all that it is made of, each once, the outer first."""
    found: dict[type, None] = {kind: None}
    for hint in _hints(kind).values():
        for part in _inside(hint):
            found |= dict.fromkeys(_kinds(part))
    return list(found)


def _inside(hint: Any) -> list[type]:
    if dataclasses.is_dataclass(hint):
        return [hint] if isinstance(hint, type) else []
    return [kind for part in get_args(hint) for kind in _inside(part)]


def _first(kind: type) -> str:
    return prose((kind.__doc__ or "").split("\n\n")[0].replace("\n", " "))


def _fields(kind: type) -> str:
    meaning = _meanings(kind)
    rows = [(code(name), _told(hint), meaning.get(name, "")) for name, hint in _hints(kind).items()]
    return table("field|type|meaning", rows)


def _meanings(kind: type) -> dict[str, str]:
    """What the docstrings of a class and those it builds on say of their fields."""
    found: dict[str, str] = {}
    for one in (*_described(kind), *reversed(kind.__mro__)):
        for names, text in _FIELD.findall(one.__doc__ or ""):
            said = prose(re.sub(r"\s+", " ", text))
            found |= {name.strip(): said for name in names.split(",")}
    return found


def _described(kind: type) -> list[type]:
    """The class of `models.scoring` that says what the fields mean, where it is another."""
    from models import scoring

    other = getattr(scoring, kind.__name__.replace("Answer", "Scored"), None)
    return [other] if isinstance(other, type) else []


def _told(hint: Any) -> str:
    """A type in words."""
    origin, inside = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        return f"[{getattr(hint, '__name__', '')}](#{getattr(hint, '__name__', '').lower()})"
    if origin in (Union, types.UnionType):
        return " or ".join(_told(one) for one in inside)
    if origin is Literal:
        return " or ".join(code(str(one)) for one in inside)
    if origin is tuple:
        return f"list of {_told(inside[0])}"
    if origin is dict:
        return f"{_told(inside[1])} by class"
    return "null" if hint is type(None) else str(PLAIN[hint]["type"])
