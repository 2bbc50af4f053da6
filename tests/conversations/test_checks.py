from dataclasses import replace

import pytest

from lingraft.ask.message import ASSISTANT, SYSTEM, USER, Message
from lingraft.conversations import checks
from lingraft.conversations.record import Conversation, Preference, Record, Verdict
from lingraft.corpus.document import Unusable

NAMES = {"s": SYSTEM, "u": USER, "a": ASSISTANT}


def turns(roles: str) -> tuple[Message, ...]:
    return tuple(Message(NAMES[role], f"text {place}") for place, role in enumerate(roles))


def conversation(roles: str, *contents: str) -> Conversation:
    told = turns(roles)
    return Conversation("", tuple(replace(turn, content=text) for turn, text in zip(told, contents, strict=True)))


def refused(record: Record, reason: str, detail: str = "", limit: int = 1000) -> None:
    with pytest.raises(Unusable) as error:
        checks.check(record, limit)
    assert (error.value.reason, error.value.detail) == (reason, detail)
    assert reason in checks.REASONS


@pytest.mark.parametrize("roles", ["ua", "sua", "uaua", "suauaua"])
def test_a_good_conversation(roles: str) -> None:
    record = Conversation("", turns(roles))
    checks.check(record, 1000)
    assert checks.mended(record) == (record, [])
    for other in (Preference("", turns(roles)[:-1], "A", "B"), Verdict("", turns(roles)[:-1], "A", False)):
        checks.check(other, 1000)
        assert checks.mended(other) == (other, [])


@pytest.mark.parametrize(
    ("roles", "reason", "detail"),
    [
        ("", "no answer", ""),
        ("s", "no answer", ""),
        ("u", "no answer", ""),
        ("uau", "no answer", ""),
        ("a", "begins with the assistant", ""),
        ("au", "begins with the assistant", ""),
        ("saua", "begins with the assistant", ""),
        ("usa", "a system message that is not the first", ""),
        ("ssua", "a system message that is not the first", ""),
        ("uua", "roles do not alternate", "turn 2 is the user's"),
        ("suaa", "roles do not alternate", "turn 3 is the assistant's"),
    ],
)
def test_roles_of_a_conversation(roles: str, reason: str, detail: str) -> None:
    refused(Conversation("", turns(roles)), reason, detail)


@pytest.mark.parametrize(
    ("roles", "reason"),
    [
        ("", "the prompt does not end with the user"),
        ("s", "the prompt does not end with the user"),
        ("ua", "the prompt does not end with the user"),
        ("a", "the prompt does not end with the user"),
        ("au", "begins with the assistant"),
        ("usu", "a system message that is not the first"),
        ("uu", "roles do not alternate"),
    ],
)
def test_roles_of_a_prompt(roles: str, reason: str) -> None:
    for record in (Preference("", turns(roles), "A", "B"), Verdict("", turns(roles), "A", True)):
        with pytest.raises(Unusable) as error:
            checks.check(record, 1000)
        assert error.value.reason == reason


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ("", "an empty turn", ""),
        (" \n\u200b", "an empty turn", ""),
        ("a\x00b", "a control character", "U+0000"),
        ("a\rb", "a control character", "U+000D"),
        ("a\x9fb", "a control character", "U+009F"),
        ("a\ufffd", "a replacement character, left by a wrong decoding", ""),
        ("half \ud83d of a pair", "not valid Unicode", "lone surrogate at character 5"),
        ("Sort: <noinput>", "a mark where text is missing", "<noinput>"),
        ("<No Output>", "a mark where text is missing", "<No Output>"),
        ("x" * 1001, "longer than max_record_bytes", "1,005 bytes"),
        ("ż" * 500, "longer than max_record_bytes", "1,004 bytes"),
    ],
)
def test_a_text_that_cannot_be_learned_from(text: str, reason: str, detail: str) -> None:
    refused(conversation("ua", "four", text), reason, detail)
    refused(Verdict("", (Message(USER, text),), "four", True), reason, detail)
    for chosen, rejected in ((text, "B"), ("A", text)):
        with pytest.raises(Unusable) as error:
            checks.check(Preference("", (Message(USER, "Q"),), chosen, rejected), 1000)
        assert error.value.reason == reason


def test_the_same_answer_twice() -> None:
    refused(Preference("", turns("u"), "A", "A"), "chosen and rejected are the same")
    checks.check(Preference("", turns("u"), "A", "A!"), 1000)


def test_tabs_line_ends_and_refusals_stay() -> None:
    checks.check(conversation("ua", "def f():\n\treturn 1", "As an AI language model, I cannot say."), 1000)


@pytest.mark.parametrize(
    ("before", "after", "done"),
    [
        (conversation("ua", "Q", "z\u0307o\u0301"), conversation("ua", "Q", "żó"), ["composed to NFC"]),
        (conversation("ua", "Q\r\nq", "A"), conversation("ua", "Q\nq", "A"), ["line ends of Windows"]),
        (conversation("ua", " Q", "A\n\n"), conversation("ua", "Q", "A"), ["white space around a turn cut off"]),
        (conversation("sua", " ", "Q", "A"), conversation("ua", "Q", "A"), None),
        (conversation("uau", "Q", "A", "Q"), conversation("ua", "Q", "A"), ["user turns without an answer cut off"]),
        (conversation("uauu", "Q", "A", "Q", "Q"), conversation("ua", "Q", "A"), None),
        (conversation("u", "Q"), conversation("u", "Q"), []),
        (conversation("", *()), conversation("", *()), []),
        (Preference("", turns("ua"), " A", "B"), Preference("", turns("ua"), "A", "B"), None),
        (Verdict("", (), "A\r\n", True), Verdict("", (), "A", True), None),
    ],
)
def test_what_is_mended_is_named(before: Record, after: Record, done: list[str] | None) -> None:
    found, named = checks.mended(before)
    assert found == after
    assert named if done is None else named == done


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ile to 2+2?", "ile to  2 + 2", True),
        ("Ile to 2+2?", "Ile to 2+3?", False),
        ("Straße", "STRASSE", True),
        ("ﬁ", "fi", True),
        ("?", "!", False),
        ("不同", "不 同。", True),
    ],
)
def test_near_duplicates_have_one_key(one: str, other: str, same: bool) -> None:
    assert (checks.plain([one]) == checks.plain([other])) is same


def test_where_one_text_ends_and_the_next_begins_counts() -> None:
    assert checks.plain(["ab", "c"]) != checks.plain(["a", "bc"])


def test_sums_and_code_that_differ_in_a_sign_are_no_duplicates() -> None:
    assert len({checks.plain([text]) for text in ("7-3", "7/3", "73", "7,3")}) == 4
    assert checks.plain(["Ile to 3,5?"]) == checks.plain(["ile  to 3,5 ?"])
    assert checks.plain(["Tak, wiem."]) == checks.plain(["tak wiem"])
