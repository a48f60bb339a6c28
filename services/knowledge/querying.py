"""What the search server is sent: the form of the index, a document, a question. Pure; only plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.knowledge.cutting import CUT_VERSION, FORMS, Family, cut, keywords

#: How much each form counts, tuned with `liaison knowledge recall`. Pinyin only helps where nothing else does.
WEIGHTS: Mapping[Family, Mapping[str, float]] = {
    Family.ZH: {"uni": 1.0, "bi": 1.0, "seg": 1.0},
    Family.EN: {"word": 0.5, "stem": 1.0},
    Family.JA: {"uni": 0.5, "bi": 1.0},
}
_BY_SOUND: Mapping[str, float] = {"uni": 0.2, "bi": 0.2, "seg": 0.2, "py": 1.0}
#: The form in which at least one keyword must be found.
_KEY_FORM: Mapping[Family, str] = {Family.ZH: "seg", Family.EN: "stem", Family.JA: "bi"}
_TITLE_WEIGHT = 2.5
# More than any text can reach: among those about the code, the text decides.
_CODE_WEIGHT = 1_000.0
#: What a hit is shown by, kept with it in the index.
HIT_FIELDS = ["id", "kind", "title", "body", "url", "language", "category", "problem_codes", "level"]
Body = dict[str, Any]


def field_of(part: str, family: Family, form: str) -> str:
    """Return the name of the field that holds a part of the text in a form: `title_zh_bi`."""
    return f"{part}_{family}_{form}"


def index_form() -> Body:
    """Return settings and mappings of an index: cut text only, so that any Elasticsearch will do."""
    cut_text = {"type": "text", "analyzer": "whitespace"}
    fields: Body = {
        field_of(part, family, form): cut_text
        for part in ("title", "body")
        for family, forms in FORMS.items()
        for form in forms
    }
    for name in ("id", "kind", "language", "category", "problem_codes", "level"):
        fields[name] = {"type": "keyword"}
    for name in ("title", "body", "url"):
        fields[name] = {"type": "keyword", "index": False, "doc_values": False}
    fields["published"] = {"type": "boolean"}
    return {
        "settings": {
            "number_of_shards": 1,
            "number_of_replicas": 0,
            # Named, so that an index that nobody has searched for a while is refreshed as well.
            "refresh_interval": "500ms",
        },
        "mappings": {"dynamic": False, "_meta": {"cut_version": CUT_VERSION}, "properties": fields},
    }


def document(shown: Mapping[str, Any], family: Family) -> Body:
    """Return what is indexed of an article or a material. shown: HIT_FIELDS, with the whole body."""
    fields: Body = {name: shown[name] for name in HIT_FIELDS} | {"published": True}
    for part in ("title", "body"):
        for form, tokens in cut(shown[part], family).items():
            fields[field_of(part, family, form)] = " ".join(tokens)
    return fields


def tombstone(document_id: str) -> Body:
    """Return what is indexed of something that must not be found: it keeps older writes from coming back."""
    return {"id": document_id, "published": False}


def _match(field: str, tokens: Sequence[str], boost: float = 1.0) -> Body:
    return {"match": {field: {"query": " ".join(tokens), "boost": boost}}}


def _asked_in(text: str, family: Family, weights: Mapping[str, float]) -> Body:
    forms = cut(text, family)
    wanted: list[Body] = []
    for form, weight in weights.items():
        wanted.append(_match(field_of("title", family, form), forms[form], weight * _TITLE_WEIGHT))
        wanted.append(_match(field_of("body", family, form), forms[form], weight))
    if "py" in weights:
        return {"bool": {"should": wanted, "minimum_should_match": 1}}
    # One keyword at least: sharing only 的 with a question is no hit.
    keys = keywords(text, family) or forms[_KEY_FORM[family]]
    needed = [_match(field_of(part, family, _KEY_FORM[family]), keys) for part in ("title", "body")]
    return {"bool": {"should": wanted, "filter": [{"bool": {"should": needed}}]}}


def asked(text: str, families: Sequence[Family], *, by_sound: bool = False) -> Body:
    """Return the part of a question that is about its text. by_sound: Chinese that sounds like it will do."""
    parts = []
    for family in families:
        weights = _BY_SOUND if by_sound and family is Family.ZH else WEIGHTS[family]
        parts.append(_asked_in(text, family, weights))
    return {"dis_max": {"queries": parts, "tie_breaker": 0.3}}


def about_ticket(title: str, families: Sequence[Family], problem_code: str | None) -> Body:
    """Return the question for articles that may help with a ticket: its problem code counts most."""
    wanted = [asked(title, families)]
    if problem_code:
        wanted.append({"constant_score": {"filter": {"term": {"problem_codes": problem_code}}, "boost": _CODE_WEIGHT}})
    return {"bool": {"should": wanted, "minimum_should_match": 1}}


def question(
    wanted: Body, filters: Mapping[str, str | Sequence[str] | None], *, offset: int = 0, limit: int = 10
) -> Body:
    """Return a whole question. filters: a field to the value, or one of the values, that it must have."""
    needed: list[Body] = [{"term": {"published": True}}]
    for name, value in filters.items():
        if isinstance(value, str):
            needed.append({"term": {name: value}})
        elif value is not None:
            needed.append({"terms": {name: list(value)}})
    return {
        "query": {"bool": {"must": [wanted], "filter": needed}},
        "sort": [{"_score": "desc"}, {"id": "asc"}],
        "track_scores": True,
        "track_total_hits": False,
        "_source": HIT_FIELDS,
        "from": offset,
        "size": limit,
    }
