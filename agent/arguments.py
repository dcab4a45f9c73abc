"""Arguments of a call, brought to the types that its tool wants wherever there is one reading.

What has none stays as it came: the tool's own validation refuses it, in words the model can act on.
"""

import functools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.tools import BaseTool
from pydantic import BaseModel, ValidationError

from agent.asking import Problem, ProblemAction
from agent.call_json import LooseJsonError, read_json
from agent.call_shapes import make_problem
from agent.numbers import degrees, pair, read_number
from tools.evidence import ToolError

Schema = Mapping[str, Any]
MAXIMUM_DEPTH = 40
MAXIMUM_TEXT = 20_000
"""Letters of one argument that are searched for a reading."""
MAXIMUM_ERRORS = 5
"""Problems named for one call; the rest will show when these are corrected."""
_HEXADECIMAL = re.compile(r"(?<![0-9a-z])[0-9a-f]{8,64}(?![0-9a-z])")
_RANGE = ("greater_than", "less_than", "too_long", "too_short")
BAD = re.compile("[\ud800-\udfff\0]")
"""Halves of characters and zero bytes, which neither hashes nor databases take."""
_SHORT = {"lat": "latitude", "lon": "longitude", "lng": "longitude", "long": "longitude"}
_NOTHING = frozenset({"", "null", "none", "n/a", "undefined"})


def fields_of(tool: BaseTool) -> frozenset[str]:
    """Return the names of a tool's arguments."""
    wanted = tool.args_schema
    if isinstance(wanted, type) and issubclass(wanted, BaseModel):
        return _fields_of_model(wanted)
    return frozenset(schema_of(tool).get("properties", {}))


def schema_of(tool: BaseTool) -> Schema:
    """Return the JSON schema of a tool's arguments; empty where it states none."""
    wanted = tool.args_schema
    if isinstance(wanted, type) and issubclass(wanted, BaseModel):
        return _schema_of_model(wanted)
    return wanted if isinstance(wanted, dict) else {}


@functools.lru_cache(maxsize=256)
def _schema_of_model(model: type[BaseModel]) -> Schema:
    return model.model_json_schema()


@functools.lru_cache(maxsize=256)
def _fields_of_model(model: type[BaseModel]) -> frozenset[str]:
    return frozenset(_schema_of_model(model).get("properties", {}))


def fit_arguments(
    tool: BaseTool, arguments: object, *, photo_id: str = "", texts: bool = False
) -> tuple[dict[str, Any], list[Problem]]:
    """Return the arguments as the tool wants them, and what was wrong with them.

    Args:
        tool: whose `args_schema` says what is wanted.
        arguments: an object; anything else becomes no arguments and a problem.
        photo_id: the run's photo, for a `photo_id` that names none.
        texts: numbers and objects as text are no fault here (XML has nothing else).
    """
    schema = schema_of(tool)
    fitter = _Fitter(tool.name, schema.get("$defs", {}), texts)
    clean = fitter.named(arguments)
    # Words may stand in for a photo: where they do, none is missing.
    by_words = "photo_id" not in schema.get("required", ()) and clean.get("text")
    if "photo_id" in schema.get("properties", {}) and photo_id and not by_words:
        clean = fitter.photo(clean, photo_id)
    fitted = fitter.object(clean, schema, "")
    assert isinstance(fitted, dict)  # an object stays one
    fitter.validate(tool, fitted)
    return fitted, fitter.problems


def clean_arguments(name: str, arguments: object) -> tuple[dict[str, Any], list[Problem]]:
    """Return the arguments of a tool that nobody knows, as finite JSON."""
    fitter = _Fitter(name, {}, False)
    return fitter.named(arguments), fitter.problems


class _Fitter:
    """Brings values towards a JSON schema; each change is a problem that was repaired."""

    def __init__(self, tool: str, definitions: Schema, texts: bool) -> None:
        self.tool, self.definitions, self.texts = tool, definitions, texts
        self.problems: list[Problem] = []

    def note(self, kind: str, where: str, detail: str, action: ProblemAction = "repaired") -> None:
        place = f"{self.tool}.{where}" if where else self.tool
        self.problems.append(make_problem(kind, f"{place[:80]}: {detail}", action))

    def answer(self, kind: str, where: str, value: object, wanted: str) -> None:
        self.note(kind, where, f"{_shown(value)}: {wanted[:200]}; correct it", "answered")

    def changed(self, where: str, old: object, new: object) -> object:
        if not (self.texts and isinstance(old, str)):
            self.note("wrong-type", where, f"{_shown(old)} read as {_shown(new)}")
        return new

    # What no tool may see.

    def named(self, arguments: object) -> dict[str, Any]:
        """Return the arguments as a clean object; what is none becomes an empty one."""
        clean = self.clean(arguments, "arguments", 0)
        if isinstance(clean, dict):
            return clean
        self.answer("wrong-type", "arguments", clean, "an object with named arguments is wanted")
        return {}

    def clean(self, value: object, where: str, depth: int) -> object:
        """Return the value as finite JSON: NaN as the text `NaN`, which every tool refuses."""
        if depth > MAXIMUM_DEPTH:
            self.answer("wrong-type", where, "...", f"more than {MAXIMUM_DEPTH} levels")
            return None
        if isinstance(value, str):
            return self._text(value, where)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return self._finite(value, where)
        if isinstance(value, Mapping):
            return {
                self._text(str(key), where): self.clean(item, f"{where}.{key!s:.40}", depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self.clean(item, where, depth + 1) for item in value]
        return _shown(value)

    def _text(self, value: str, where: str) -> str:
        if BAD.search(value) is None:
            return value
        self.note("bad-character", where, f"{_shown(value)}: half a character or a zero byte")
        return BAD.sub("\ufffd", value)

    def _finite(self, value: float, where: str) -> object:
        if isinstance(value, int) and value.bit_length() <= 1000:
            return value
        if isinstance(value, float) and math.isfinite(value):
            return value
        name = str(value) if isinstance(value, float) else "Infinity"
        where = where.removeprefix("arguments.")
        self.note("not-finite", where, f"{name}: a finite number is wanted; correct it", "answered")
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(name, name)

    # The run's photo.

    def photo(self, arguments: dict[str, Any], photo_id: str) -> dict[str, Any]:
        """Return the arguments with an id in `photo_id`: what is none means the run's photo."""
        given = arguments.get("photo_id")
        if isinstance(given, list) and len(given) == 1:
            given = given[0]
        found = _HEXADECIMAL.findall(given.lower()) if isinstance(given, str) else []
        meant = found[0] if len(set(found)) == 1 else photo_id
        if given != meant and not (isinstance(given, str) and given.strip().lower() == meant):
            shown = "nothing" if given is None else _shown(given)
            self.note("photo-id", "photo_id", f"{shown} read as {meant[:12]}")
            return {**arguments, "photo_id": meant}
        return arguments

    # Towards the schema.

    def fit(self, value: object, schema: Schema, where: str) -> object:
        schema = self.resolved(schema)
        if options := schema.get("anyOf") or schema.get("oneOf"):
            return self.choose(value, options, where)
        if "enum" in schema:
            return self.enum(value, schema["enum"], where)
        match schema.get("type"):
            case "number" | "integer":
                return self.number(value, schema, where)
            case "boolean":
                return self.boolean(value, where)
            case "string":
                return self.string(value, schema, where)
            case "array":
                return self.array(value, schema, where)
            case "object":
                return self.object(value, schema, where)
        return value

    def resolved(self, schema: Schema) -> Schema:
        for _ in range(MAXIMUM_DEPTH):
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                break
            schema = self.definitions.get(reference.rpartition("/")[2], {})
        return schema

    def choose(self, value: object, options: Sequence[Schema], where: str) -> object:
        """Fit to the first option that the value is of, or else becomes of."""
        kinds = [self.resolved(option) for option in options]
        nullable = any(kind.get("type") == "null" for kind in kinds)
        if value is None and nullable:
            return None
        kinds = [kind for kind in kinds if kind.get("type") != "null"]
        if nullable and isinstance(value, str) and value.strip().lower() in _NOTHING:
            return self.changed(where, value, None)
        for kind in sorted(kinds, key=lambda kind: not _is(value, kind)):
            trial = _Fitter(self.tool, self.definitions, self.texts)
            fitted = trial.fit(value, kind, where)
            if _is(fitted, kind):
                self.problems += trial.problems
                nothing = nullable and isinstance(fitted, str) and fitted in _NOTHING
                return None if nothing else fitted
        return value

    def enum(self, value: object, allowed: Sequence[object], where: str) -> object:
        if value in allowed or not isinstance(value, str):
            return value
        meant = [a for a in allowed if isinstance(a, str) and _same(a) == _same(value)]
        return self.changed(where, value, meant[0]) if len(meant) == 1 else value

    def number(self, value: object, schema: Schema, where: str) -> object:
        lone = value[0] if isinstance(value, list) and len(value) == 1 else value
        number = lone
        if isinstance(lone, str) and len(lone) < 200:
            name = where.rpartition(".")[2]
            number = degrees(lone, name)
            number = read_number(lone, name, schema) if number is None else number
        if isinstance(number, bool) or not isinstance(number, int | float):
            return value
        if schema["type"] == "integer" and isinstance(number, float):
            number = int(number) if number.is_integer() and abs(number) < 2**53 else number
        return self.changed(where, value, number) if isinstance(value, str | list) else number

    def boolean(self, value: object, where: str) -> object:
        meant = {"true": True, "false": False}
        if isinstance(value, str) and value.strip().lower() in meant:
            return self.changed(where, value, meant[value.strip().lower()])
        if isinstance(value, int) and not isinstance(value, bool) and value in (0, 1):
            return self.changed(where, value, bool(value))
        return value

    def string(self, value: object, schema: Schema, where: str) -> object:
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            return self.string(self.changed(where, value, value[0]), schema, where)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self.changed(where, value, str(value))
        if not isinstance(value, str) or len(value) > MAXIMUM_TEXT:
            return value
        bare = value.strip().strip("'\"`").strip()
        plain = re.sub(r"[\x00-\x1f\x7f]+", " ", value).strip()
        for meant in (value, bare, plain, bare.upper(), bare.lower()):
            if _fits(meant, schema):
                return value if meant == value else self.changed(where, value, meant)
        return value

    def array(self, value: object, schema: Schema, where: str) -> object:
        items = self.resolved(schema.get("items") or {})
        if isinstance(value, str) and isinstance(read := _json(value), list):
            value = self.changed(where, value, self.clean(read, where, 0))
        elif not isinstance(value, list) and value is not None:
            value = self._listed(value, items, where)
        if not isinstance(value, list):
            return value
        return [self.fit(item, items, f"{where}.{index}") for index, item in enumerate(value)]

    def _listed(self, value: object, items: Schema, where: str) -> object:
        """Return a lone item as a list; `FR, DE` as two where items are codes."""
        trial = _Fitter(self.tool, self.definitions, True)
        if items.get("type") and _is(trial.fit(value, items, where), items):
            return self.changed(where, value, [value])
        if isinstance(value, str) and "," in value and ("pattern" in items or "enum" in items):
            parts = [part.strip() for part in value.split(",")]
            if all(_is(trial.fit(part, items, where), items) for part in parts):
                return self.changed(where, value, parts)
        return value

    def object(self, value: object, schema: Schema, where: str) -> object:
        if isinstance(value, str) and isinstance(read := _json(value), dict):
            value = self.changed(where, value, self.clean(read, where, 0))
        fields = schema.get("properties")
        if not isinstance(value, dict) or not isinstance(fields, Mapping):
            return value
        value = self.split(self.known(value, schema, fields, where), fields, where)
        required = schema.get("required", ())
        fitted: dict[str, Any] = {}
        for name, item in value.items():
            new = item
            if name in fields:
                new = self.fit(item, fields[name], f"{where}.{name}".lstrip("."))
            if new is None and name in fields and name not in required:
                continue  # the default is meant
            fitted[name] = new
        return fitted

    def known(
        self, value: dict[str, Any], schema: Schema, fields: Schema, where: str
    ) -> dict[str, Any]:
        """Return the object with fields by their names, without those that there are not."""
        kept = {name: item for name, item in value.items() if name in fields}
        for name in [name for name in value if name not in fields]:
            near = [f for f in fields if _same(f) in (_same(name), _SHORT.get(_same(name)))]
            if len(near) == 1 and near[0] not in value and near[0] not in kept:
                self.note("argument-name", where, f"{name[:60]!r} read as {near[0]!r}")
                kept[near[0]] = value[name]
            elif schema.get("additionalProperties") is False:
                shown = f"{name[:60]!r}: {_shown(value[name])}"
                self.note("unknown-argument", where, f"there is no {shown}; it was dropped")
            else:
                kept[name] = value[name]
        return kept

    def split(self, value: dict[str, Any], fields: Schema, where: str) -> dict[str, Any]:
        """Return the object with `latitude: "48.85, 2.29"` as two fields."""
        for first in [name for name in value if name.endswith("latitude")]:
            second = first.removesuffix("latitude") + "longitude"
            if second in fields and value.get(second) in (None, "") and (p := pair(value[first])):
                shown = f"{_shown(value[first])} read as {p[0]}, {p[1]}"
                self.note("split-coordinate", f"{where}.{first}".lstrip("."), shown)
                value = {**value, first: p[0], second: p[1]}
        return value

    def validate(self, tool: BaseTool, arguments: dict[str, Any]) -> None:
        """Name what the tool will refuse."""
        model = tool.args_schema
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return
        try:
            model.model_validate(arguments)
        except ValidationError as error:
            for one in error.errors(include_url=False, include_context=False)[:MAXIMUM_ERRORS]:
                told = any(problem.kind == "not-finite" for problem in self.problems)
                if _same(str(one["input"])) in ("nan", "inf", "infinity"):
                    if not told:
                        self.answer("not-finite", str(one["loc"][0]), one["input"], one["msg"])
                    continue
                kind = "out-of-range" if one["type"].startswith(_RANGE) else "wrong-type"
                kind = "missing-argument" if one["type"] == "missing" else kind
                where = ".".join(str(part) for part in one["loc"])
                if kind == "missing-argument":
                    self.note(kind, where, "it is missing; give it", "answered")
                else:
                    self.answer(kind, where, one["input"], one["msg"])
        except ToolError as error:  # a validator of the tool itself
            self.note("wrong-type", "", str(error), "answered")


def _is(value: object, schema: Schema) -> bool:
    """Whether a value is of the type, enum and pattern of a schema."""
    if "enum" in schema:
        return value in schema["enum"]
    match schema.get("type"):
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str) and _fits(value, schema)
        case "boolean" | "array" | "object" as kind:
            return isinstance(value, {"boolean": bool, "array": list, "object": dict}[kind])
        case "null":
            return value is None
    return True


def _fits(text: str, schema: Schema) -> bool:
    pattern = schema.get("pattern")
    try:
        return pattern is None or re.search(pattern, text) is not None
    except re.error:  # a pattern of another dialect
        return True


def _json(text: str) -> object:
    """Return the value of a text that is JSON, whole; None where it is not."""
    inner = re.sub(r"\A\s*```\w*|```\s*\Z", "", text[:MAXIMUM_TEXT]).strip()
    try:
        read = read_json(inner)
    except LooseJsonError:
        return None
    return None if inner[read.end :].strip() else read.value


def _same(name: str) -> str:
    return re.sub(r"[\W_]+", "", name[:200]).lower()


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
