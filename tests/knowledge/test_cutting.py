"""How texts are cut, compared and marked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.knowledge.cutting import Family, coverage, cut, families_in, language_of, normal, stem
from services.knowledge.highlighting import marked


@pytest.mark.parametrize(
    ("text", "language", "families"),
    [
        pytest.param("无法登录 OA 系统", "zh-CN", ["zh", "ja", "en"], id="Chinese with a Latin word"),
        pytest.param("How do I reset my password?", "en", ["en"], id="English"),
        pytest.param("パスワードを忘れた", "ja", ["ja"], id="kana only"),
        pytest.param("請求書の印刷", "ja", ["ja"], id="Japanese with Han"),
        pytest.param("年假", "zh-CN", ["zh", "ja"], id="Han only"),
    ],
)
def test_the_script_tells_the_language(text: str, language: str, families: list[str]) -> None:
    assert (language_of(text), [str(one) for one in families_in(text)]) == (language, families)


def test_chinese_is_cut_into_characters_pairs_words_and_sounds() -> None:
    assert cut("ESP32 無法登錄", Family.ZH) == {
        "uni": ["esp32", "无", "法", "登", "录"],
        "bi": ["esp32", "无法", "法登", "登录"],
        "seg": ["esp32", "无法", "登录"],
        "py": ["esp32", "wufa", "fadeng", "denglu"],
    }


def test_japanese_keeps_its_own_characters() -> None:
    assert cut("ｻｰﾊﾞｰの設定", Family.JA)["bi"] == ["サー", "ーバ", "バー", "ーの", "の設", "設定"]


@pytest.mark.parametrize(
    ("word", "root"),
    [
        ("errors", "error"),
        ("policies", "policy"),
        ("boxes", "box"),
        ("classes", "class"),
        ("status", "status"),
        ("printing", "print"),
        ("stopped", "stop"),
        ("logging", "log"),
        ("configure", "configur"),
        ("configured", "configur"),
        ("string", "string"),
        ("red", "red"),
    ],
)
def test_english_words_lose_their_endings(word: str, root: str) -> None:
    assert stem(word) == root


def test_coverage_is_the_share_of_a_questions_words_that_an_answer_has() -> None:
    assert coverage("如何重置登录密码", "登录页可以重置密码", Family.ZH) == 1.0
    assert coverage("登录 密码", "登录页", Family.ZH) == 0.5
    assert coverage("的了吗", "的了吗", Family.ZH) == 0.0
    assert coverage("printing errors", "An error while the printer prints", Family.EN) == 1.0


def test_what_fits_is_marked_in_the_text_as_it_was_written() -> None:
    assert marked("<b>密碼</b>過期", "密码", [Family.ZH], window=0) == "&lt;b&gt;<mark>密碼</mark>&lt;/b&gt;過期"
    assert marked("ＶＰＮ 连接", "vpn", [Family.ZH], window=0) == "<mark>ＶＰＮ</mark> 连接"
    assert marked("Printers fail", "printer", [Family.EN], window=0) == "<mark>Printers</mark> fail"


def test_the_piece_shown_is_the_one_where_most_is_found() -> None:
    text = "前言。" * 60 + "重置密码的办法是点忘记密码。" + "后记。" * 60
    piece = marked(text, "重置密码", [Family.ZH])
    assert "<mark>重置密码</mark>" in piece
    assert piece.startswith("…")
    assert piece.endswith("…")


@given(st.text(max_size=300), st.text(max_size=30), st.sampled_from(list(Family)))
def test_marking_never_changes_the_text(text: str, question: str, family: Family) -> None:
    from html import unescape

    bare = marked(text, question, [family], window=0).replace("<mark>", "").replace("</mark>", "")
    assert unescape(bare) == unescape(text.replace("&", "&amp;").replace("<", "&lt;"))


@given(st.text(max_size=200), st.sampled_from(list(Family)))
def test_no_token_holds_a_space(text: str, family: Family) -> None:
    tokens = [token for form in cut(text, family).values() for token in form]
    assert all(token and not any(one.isspace() for one in token) for token in tokens)
    assert normal(normal(text, family), family) == normal(text, family)
