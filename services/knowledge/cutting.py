"""Text made ready for search: normalised and cut into words here, so that any Elasticsearch indexes it as it comes.

The same functions cut articles and questions: a word that one of them cuts differently is never found. A change here
needs `liaison knowledge rebuild` (CUT_VERSION is kept with the index and compared).
"""

from __future__ import annotations

import enum
import logging
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from itertools import pairwise

import jieba
import opencc
import pypinyin

#: Rises with every change of what the functions below return, and of what a document holds (2: the whole text).
CUT_VERSION = 2
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff々"
_KANA = "\u3040-\u30ffー"
_RUN = re.compile(rf"[{_HAN}{_KANA}]+|[^\W_{_HAN}{_KANA}]+")
_HAN_RUN = re.compile(rf"[{_HAN}]+")
_LATIN = re.compile(rf"[^\W\d_{_HAN}{_KANA}]")
# Words that questions are full of and answers are not; they must not decide what is found.
_STOP_EN = """
a an and are as at be by can could do does for from has have how i if in is it its me my of on or our please should
that the there this to was we what when where which why will with would you your
"""
_STOP_ZH = """
的 了 吗 呢 吧 啊 么 是 在 有 和 与 或 我 你 我们 请问 如何 怎么 怎样 什么 为什么 哪些 哪里 是否 可以 能否 能 会 要 请
该 一个 这个 那个 进行 以及 还是
"""
_STOP = frozenset(f"{_STOP_EN} {_STOP_ZH}".split())


class Family(enum.StrEnum):
    """Languages that are cut alike."""

    ZH = "zh"
    EN = "en"
    JA = "ja"


#: The forms in which each family is indexed; all of one family are asked together and their scores summed.
FORMS: Mapping[Family, Sequence[str]] = {
    Family.ZH: ("uni", "bi", "seg", "py"),
    Family.EN: ("word", "stem"),
    Family.JA: ("uni", "bi"),
}


def family_of(language: str) -> Family:
    """Return how a language is cut; one that we do not know is cut at its spaces."""
    return {"zh": Family.ZH, "ja": Family.JA}.get(language.partition("-")[0], Family.EN)


def language_of(text: str) -> str:
    """Guess a text's language from its script: ja with kana, zh-CN with more Han than Latin words, else en."""
    if re.search(r"[\u3040-\u30fa]", text):
        return "ja"
    han = len(re.findall(rf"[{_HAN}]", text))
    return "zh-CN" if han and han >= len(re.findall(r"[A-Za-z]{2,}", text)) else "en"


def families_in(text: str) -> list[Family]:
    """Return the families in which a question may find something, the likeliest first."""
    found = [family_of(language_of(text))]
    if Family.JA not in found and _HAN_RUN.search(text):
        found += [Family.ZH, Family.JA]
    if _LATIN.search(text):
        found.append(Family.EN)
    return list(dict.fromkeys(found))


@cache
def _simplified() -> Mapping[int, str]:
    """Traditional characters to simplified ones, character by character, so that positions in a text stay."""
    characters = [chr(code) for code in range(0x4E00, 0xA000)]
    simple = opencc.OpenCC("t2s").convert("\n".join(characters)).split("\n")
    return {ord(one): other for one, other in zip(characters, simple, strict=True) if one != other and len(other) == 1}


def normal(text: str, family: Family) -> str:
    """Return the text with full-width, case and traditional characters evened out."""
    even = unicodedata.normalize("NFKC", text).lower()
    return even.translate(_simplified()) if family is Family.ZH else even


def warm_up() -> None:
    """Read the dictionaries, which takes half a second."""
    cut("預熱", Family.ZH)


def _bigrams(run: str) -> list[str]:
    return [run] if len(run) == 1 else [run[at : at + 2] for at in range(len(run) - 1)]


def _is_cjk(run: str) -> bool:
    return bool(re.match(rf"[{_HAN}{_KANA}]", run))


def cut(text: str, family: Family) -> dict[str, list[str]]:
    """Return the tokens of a text in each form of its family."""
    runs: list[str] = _RUN.findall(normal(text, family))
    if family is Family.EN:
        words = [word for run in runs for word in (_bigrams(run) if _is_cjk(run) else [run])]
        return {"word": words, "stem": [stem(word) for word in words if word not in _STOP]}
    cut_up: dict[str, list[str]] = {form: [] for form in FORMS[family]}
    for run in runs:
        if not _is_cjk(run):
            # A Latin word stands in every form, so that it weighs as much as a Chinese one.
            for tokens in cut_up.values():
                tokens.append(run)
            continue
        cut_up["uni"] += list(run)
        cut_up["bi"] += _bigrams(run)
        if family is Family.ZH:
            cut_up["seg"] += _segmented(run)
            cut_up["py"] += _pinyin(run)
    return cut_up


@cache
def _jieba() -> jieba.Tokenizer:
    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    tokenizer.initialize()
    return tokenizer


def _segmented(run: str) -> list[str]:
    return list(_jieba().cut(run))


def _pinyin(run: str) -> list[str]:
    """Return bigrams of syllables without tones: what sounds alike is alike."""
    syllables = pypinyin.lazy_pinyin(run)
    if len(syllables) < 2:
        return list(syllables)
    return [f"{one}{other}" for one, other in pairwise(syllables)]


@lru_cache(maxsize=20_000)  # A long article says the same words again and again.
def stem(word: str) -> str:
    """Return an English word without its plural, -ing and -ed; light, so that it rarely joins what differs."""
    for ending, put in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word[: -len(ending)] + put
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-1]
    for ending in ("ing", "ed"):
        root = word.removesuffix(ending)
        if root != word and len(root) > 2 and re.search("[aeiouy]", root):
            if root[-1] == root[-2] and root[-1] not in "lsz":
                return root[:-1]
            return root
    return word.removesuffix("e") if len(word) > 4 else word


def keywords(text: str, family: Family) -> list[str]:
    """Return the distinct words that a text is about, without those that every question has."""
    forms = cut(text, family)
    if family is Family.EN:
        return list(dict.fromkeys(forms["stem"]))
    words = forms["seg"] if family is Family.ZH else forms["bi"]
    return [word for word in dict.fromkeys(words) if word not in _STOP]


def coverage(question: str, answer: str, family: Family) -> float:
    """Return the share of a question's keywords, 0 to 1, that an answer has; 0 for a question without any."""
    wanted = keywords(question, family)
    if not wanted:
        return 0.0
    if family is Family.EN:
        there = set(cut(answer, family)["stem"])
        return sum(word in there for word in wanted) / len(wanted)
    text = normal(answer, family)
    return sum(word in text for word in wanted) / len(wanted)
