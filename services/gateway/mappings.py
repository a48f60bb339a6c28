"""Mapping files: how a publisher's own types become canonical ones. One YAML file per publisher.

A wrong file is reported with file, line and reason, all faults at once, and nothing of it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from contracts.fact import Fact, Word
from contracts.register import FACTS
from eventkit.envelope import RawEvent
from eventkit.errors import BadMessage, BadSettings
from services.gateway import rules
from services.gateway.templates import ABSENT, Sent, Template, compile_template, constants, fill

_ENVELOPE = ("subject", "externalref", "time", "actor", "partitionkey")


class TypeMapping(msgspec.Struct, frozen=True):
    """How one own type becomes a canonical one. origins: where the fields of the data are made, for people."""

    own_type: str
    becomes: str
    envelope: Mapping[str, Template]
    data: Mapping[str, Template]
    absent: frozenset[str]
    origins: Mapping[str, str]

    def apply(self, raw: RawEvent) -> tuple[dict[str, str], bytes]:
        """Return the envelope attributes that it sets, and the canonical data. Raises BadMessage naming the field."""
        try:
            data = msgspec.json.decode(raw.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadMessage(f"not JSON: {error}", field="data") from None
        sent = Sent(raw.attributes, data, self.absent)
        envelope = {}
        for name, template in self.envelope.items():
            value = template(sent)
            if value is not ABSENT:
                envelope[name] = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        return envelope, msgspec.json.encode(fill(self.data, sent))


Mappings = Mapping[str, Mapping[str, TypeMapping]]
"""By publisher, then by own type."""


class Fault(msgspec.Struct, frozen=True, order=True):
    """What is wrong with a mapping file, and where. line: counted from 1."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


def load(folder: Path) -> Mappings:
    """Read every mapping file of a folder. Raises BadSettings naming every fault of every file."""
    found: dict[str, Mapping[str, TypeMapping]] = {}
    faults: list[Fault] = []
    for path in sorted(folder.glob("*.y*ml")):
        publisher, types, wrong = read(path.name, path.read_bytes())
        faults += wrong
        if publisher and publisher in found:
            faults.append(Fault(path.name, 1, f"{publisher} has another mapping file already"))
        found[publisher] = types
    if faults:
        raise BadSettings("mapping files are wrong:\n" + "\n".join(map(str, sorted(faults))))
    return found


def read(file: str, text: bytes) -> tuple[str, Mapping[str, TypeMapping], list[Fault]]:
    """Return the publisher's name, its types, and what is wrong with the file."""
    faults: list[Fault] = []
    try:
        root = yaml.compose(text.decode(), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error)
        return "", {}, [Fault(file, mark.line + 1 if mark else 1, f"not YAML: {reason}")]
    reader = _Reader(file, faults)
    parts = reader.entries(root, "a mapping file", {"publisher", "types"})
    name = reader.value(parts["publisher"]) if "publisher" in parts else None
    if not isinstance(name, str):
        reader.fault(root, "`publisher` is missing: the name of the publisher whose types these are")
        name = ""
    types = {}
    for own_type, node in reader.entries(parts.get("types"), "types").items():
        mapping = reader.type_mapping(own_type, node)
        if mapping is not None:
            types[own_type] = mapping
    return name, types, faults


class _Reader:
    """Reads nodes, which know their lines, and collects what is wrong with them."""

    def __init__(self, file: str, faults: list[Fault]) -> None:
        self._file = file
        self._faults = faults

    def fault(self, node: Any, reason: str) -> None:
        self._faults.append(Fault(self._file, node.start_mark.line + 1 if node is not None else 1, reason))

    def value(self, node: Any) -> Any:
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_object(node, deep=True)
        except yaml.YAMLError as error:
            self.fault(node, f"not readable: {getattr(error, 'problem', error)}")
            return None
        finally:
            loader.dispose()

    def entries(self, node: Any, what: str, known: set[str] | None = None) -> dict[str, Any]:
        """Return the nodes of a YAML mapping by key; anything else, double and unknown keys are faults."""
        if not isinstance(node, yaml.MappingNode):
            self.fault(node, f"{what}: expected `key: value` lines")
            return {}
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in found:
                self.fault(key, f"`{name}` is there twice")
            if known is not None and name not in known:
                self.fault(key, f"`{name}` is not known here: {', '.join(sorted(known))}")
            found[name] = value
        return found

    def type_mapping(self, own_type: str, node: Any) -> TypeMapping | None:
        before = len(self._faults)
        if not rules.is_type(own_type) or own_type.startswith("liaison."):
            self.fault(node, f"{own_type!r} cannot be a type of a publisher's own")
        parts = self.entries(node, own_type, {"becomes", "absent", "data", *_ENVELOPE})
        becomes = self.value(parts["becomes"]) if "becomes" in parts else None
        if becomes not in rules.ASKABLE:
            self.fault(
                parts.get("becomes", node), f"`becomes` is {becomes!r}; one of {', '.join(sorted(rules.ASKABLE))}"
            )
            return None
        absent = self.value(parts["absent"]) if "absent" in parts else []
        if not isinstance(absent, list):
            self.fault(parts["absent"], "`absent` is a list of texts")
            absent = []
        envelope = dict(
            self.templates({name: parts[name] for name in _ENVELOPE if name in parts}, lambda name, value: None)
        )
        data = self.data_fields(FACTS[becomes], parts.get("data"), node)
        if len(self._faults) > before:
            return None
        lines = self.entries(parts["data"], "data") if "data" in parts else {}
        origins = {name: f"{self._file}:{field.start_mark.line + 1}" for name, field in lines.items()}
        return TypeMapping(own_type, becomes, envelope, data, frozenset(map(str, absent)), origins)

    def templates(
        self, nodes: Mapping[str, Any], check: Callable[[str, Any], str | None]
    ) -> Iterator[tuple[str, Template]]:
        """Yield the templates of nodes; `check` says what is wrong with a constant."""
        for name, node in nodes.items():
            self.check_keys(node)
            value = self.value(node)
            try:
                yield name, compile_template(value)
            except ValueError as error:
                self.fault(node, f"`{name}`: {error}")
                continue
            for constant in constants(value):
                if reason := check(name, constant):
                    self.fault(node, f"`{name}`: {constant!r}: {reason}")

    def check_keys(self, node: Any) -> None:
        """Report keys that YAML takes for the same, such as `1` and `true`: one of them would be lost."""
        if isinstance(node, yaml.MappingNode):
            seen: dict[Any, str] = {}
            for key, value in node.value:
                made = self.value(key)
                if isinstance(made, str | int | float) and made in seen:
                    self.fault(key, f"`{key.value}` and `{seen[made]}` are the same key; put them in quotes")
                if isinstance(made, str | int | float):
                    seen[made] = key.value
                self.check_keys(value)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self.check_keys(item)

    def data_fields(self, fact: type[Fact], node: Any, owner: Any) -> Mapping[str, Template]:
        fields = {field.encode_name: field for field in msgspec.structs.fields(fact)}
        nodes = self.entries(node, "data", set(fields)) if node is not None else {}
        for name, field in fields.items():
            if field.required and name not in nodes:
                self.fault(node or owner, f"{fact.TYPE} needs `{name}`")

        def check(name: str, constant: Any) -> str | None:
            try:
                made = msgspec.convert(constant, fields[name].type)
            except msgspec.ValidationError as error:
                return str(error)
            is_unknown = isinstance(made, Word) and made == "other" != constant
            return "is not a word of its list" if is_unknown else None

        return dict(self.templates({name: nodes[name] for name in nodes if name in fields}, check))
