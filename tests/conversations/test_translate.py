"""Whole records: what is kept, what is translated, and every reason to leave one out."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_translators import ENGLISH, OTHER, Made, back, there

from lingraft.ask.message import ASSISTANT, SYSTEM, USER, Message
from lingraft.conversations.languages import Expected
from lingraft.conversations.record import Conversation, Preference, Record, Verdict
from lingraft.conversations.translate import filters
from lingraft.conversations.translate.filters import Bad, Lengths, back_chrf, check_copy
from lingraft.conversations.translate.translate import Bounds, Outcome, num_lines, translate
from lingraft.core.errors import StageError

EXPECTED = Expected(OTHER, ENGLISH)
ALL = Bounds(max_bad_share=1)
TALK = Conversation(
    "a-1",
    (
        Message(SYSTEM, "You are a careful helper."),
        Message(USER, "How do I list files?\n\n1. in a shell\n2. with `os.listdir`"),
        Message(ASSISTANT, "Run this:\n```sh\nls -l\n```\nSee https://x.org/ls or ask {name}."),
    ),
)
PAIR = Preference(
    "b-1", (Message(USER, "Why is the sky blue?"),), "Light of short waves is scattered.", "It just is so."
)
VERDICT = Verdict("c-1", (Message(USER, "Name a lake near here."),), "There is none of them.", False)


def outcomes(*records: Record, function: Callable[[str], str] = there, **options: object) -> list[Outcome]:
    return translate(records, Made(function), EXPECTED, **{"bounds": ALL, **options})[0]


def conversation(question: str, answer: str, number: int = 0) -> Conversation:
    return Conversation(f"r{number}", (Message(USER, question), Message(ASSISTANT, answer)))


def test_a_conversation_keeps_its_form() -> None:
    (outcome,) = outcomes(TALK)
    assert outcome == Outcome(
        TALK,
        Conversation(
            "a-1@uk",
            (
                Message(SYSTEM, there("You are a careful helper.")),
                Message(
                    USER,
                    f"{there('How do I list files?')}\n\n1. {there('in a shell')}\n2. {there('with')} `os.listdir`",
                ),
                Message(
                    ASSISTANT,
                    f"{there('Run this:')}\n```sh\nls -l\n```\n"
                    f"{there('See')} https://x.org/ls {there('or ask')} {{name}}.",
                ),
            ),
        ),
    )


def test_preferences_and_verdicts() -> None:
    pair, verdict = (outcome.record for outcome in outcomes(PAIR, VERDICT))
    assert pair == Preference(
        "b-1@uk",
        (Message(USER, there("Why is the sky blue?")),),
        there("Light of short waves is scattered."),
        there("It just is so."),
    )
    assert verdict == replace(
        VERDICT, id="c-1@uk", prompt=(Message(USER, there("Name a lake near here.")),), answer=there(VERDICT.answer)
    )


def test_a_line_is_translated_once_and_counted() -> None:
    translator = Made()
    records = [replace(TALK, id=str(n)) for n in range(3)]
    _, figures = translate(records, translator, EXPECTED)
    assert len(translator.asked) == len(set(translator.asked)) == num_lines(records)[0] == 6
    assert num_lines(records)[1] == sum(map(len, translator.asked))
    assert figures["records"] == figures["translated"] == 3
    assert figures["there"] == {
        "by": "made",
        "lines": 6,
        "tokens_read": sum(map(len, translator.asked)),
        "tokens_written": 6,
    }
    assert figures["bad"] == {}
    assert figures["language_judged"]["by"] == "script"
    assert translate([], translator, EXPECTED)[0] == []


def fail(_: str) -> str:
    raise ValueError("The answer is empty.")


LONG = "The old lighthouse keeper climbed the stairs and counted them aloud"


@pytest.mark.parametrize(
    ("function", "why", "detail"),
    [
        (fail, filters.FAILED, "The answer is empty."),
        (lambda text: there(text).replace("[[1]]", ""), filters.LOST, "'{x}' is lost."),
        (lambda text: there(text).replace("[[1]]", "[[1]] [[1]]"), filters.LOST, "'{x}' stands there more than once."),
        (lambda text: f"{text}", filters.COPY, LONG),
        (lambda text: there(text) + "а" * 400, filters.LENGTH, "characters became 4"),
        (lambda text: there(text)[-12:] if "[[1]]" in text else there(text), filters.LENGTH, "became 12"),
        (lambda text: back(text[::-1]).replace("]]1[[", "[[1]]"), filters.LANGUAGE, "duola"),
    ],
)
def test_every_reason_to_leave_a_record_out(function: Callable[[str], str], why: str, detail: str) -> None:
    (outcome,) = outcomes(conversation("What is it?", f"{LONG}. {{x}}"), function=function)
    assert (outcome.record, outcome.why) == (None, why)
    assert detail in outcome.detail


def test_a_short_copy_and_short_texts_stay() -> None:
    """OK is OK in many languages, and a year is as long in all of them."""
    kept = outcomes(conversation("Paris, Lyon", "OK, 1998"), function=lambda text: text)
    assert kept[0].record == Conversation("r0@uk", (Message(USER, "Paris, Lyon"), Message(ASSISTANT, "OK, 1998")))


def test_a_question_about_a_foreign_text_may_hold_it() -> None:
    question = f"{there('Translate what stands here to another language if you can')}: the lake is blue today"
    answer = there("That I cannot do for you at all")
    assert outcomes(conversation(question, answer), function=lambda text: text)[0].why != filters.LANGUAGE


def test_answers_that_become_the_same() -> None:
    (outcome,) = outcomes(PAIR, function=lambda text: there("Light is it so") if "?" not in text else there(text))
    assert outcome.why == "chosen and rejected are the same"


def test_what_comes_back_is_compared() -> None:
    records = [conversation("What is a lake?", LONG, 0), conversation("What is a hill?", LONG.upper(), 1)]

    def back_again(text: str) -> str:
        return "Nothing of the kind was said here" if text.isupper() else back(text)

    found, figures = translate(records, Made(), EXPECTED, back=Made(back_again), bounds=ALL)
    assert [outcome.why for outcome in found] == ["", filters.BACK]
    assert found[1].detail.startswith("chrF++ ")
    assert figures["back"]["median_chrf"] == 100
    assert figures["bad"] == {filters.BACK: 1}
    (outcome,), _ = translate(records[:1], Made(), EXPECTED, back=Made(fail), bounds=ALL)
    assert (outcome.why, outcome.detail) == (filters.FAILED, "The answer is empty.")
    assert back_chrf("a lake [[1]]", "a lake [[2]]") == 100
    assert back_chrf("a lake", "yyyyy") == 0


def test_lengths_are_bound_by_what_is_usual() -> None:
    """Translations half as long as their texts, one of which is as long: within the bounds of all languages."""
    pairs = [("a" * (50 + n), "b" * ((50 + n + n % 3) // 2)) for n in range(60)]
    lengths = Lengths.learn(pairs, 0.2, 5)
    assert lengths.median == pytest.approx(0.5, abs=0.02)
    for text, new in pairs:
        lengths.check(text, new)
    with pytest.raises(Bad, match=filters.LENGTH):
        lengths.check("a" * 50, "b" * 50)
    Lengths.learn(pairs[:20], 0.2, 5).check("a" * 50, "b" * 50)
    Lengths(0.2, 5).check("Yes", "Yes, that is how it is")
    assert Lengths.learn([], 0.2, 5).figures() is None
    low, high = lengths.usual(50)
    assert (low, high) == pytest.approx((lengths.median / 1.5, lengths.median * 1.5))
    assert lengths.usual(30) == (0.2, 5)
    wide = Lengths.learn([("a" * 100, "b" * size) for size in (60, 80, 100, 125, 200) for _ in range(9)], 0.2, 5)
    # By hand: the logarithms deviate by |log 0.6|, log 1.25, 0, log 1.25 and log 2; the median of them is log 1.25.
    assert wide.median == 1
    assert wide.spread == pytest.approx(1.4826 * 10 * math.log(1.25))
    assert wide.usual(49) == pytest.approx((1.25 ** -(3 * 14.826 / 7), 1.25 ** (3 * 14.826 / 7)))


def test_a_copy_with_a_word_changed() -> None:
    with pytest.raises(Bad, match=filters.COPY):
        check_copy(
            "one two three four five six seven eight nine ten", "One, two three four five six seven eight nine X!"
        )
    check_copy("one two three four five six", "один two три four пять six")


def test_too_many_bad_ones_stop_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lingraft.conversations.translate.translate.BLOCK_RECORDS", 10)
    records = [conversation(f"What is a lake number {n}?", f"{LONG} {n}.", n) for n in range(100)]

    def function(text: str) -> str:
        return fail(text) if any(f" {n}" in text for n in (3, 4, 5)) else there(text)

    translator = Made(function)
    with pytest.raises(StageError, match="above max_bad_share") as caught:
        translate(records, translator, EXPECTED, bounds=Bounds(max_bad_share=0.25))
    assert caught.value.what == "33 of 100 translations are bad, above max_bad_share = 25.00%."
    assert "33 x the translator failed, first: The answer is empty." in str(caught.value)
    assert "What is translated is kept." in str(caught.value)
    assert len(translator.asked) == 2 * 60  # those with 60 and more were not begun
    found, _ = translate(records, Made(function), EXPECTED, bounds=Bounds(max_bad_share=0.4))
    assert sum(outcome.record is None for outcome in found) == 33


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=1, max_size=4))
def test_a_translator_that_changes_nothing_gives_the_same_texts(texts: list[tuple[str, str]]) -> None:
    """What is left in, that is: copies, empty turns and the like are bad."""
    records = [conversation(question, answer, n) for n, (question, answer) in enumerate(texts)]
    for outcome in outcomes(*records, function=lambda text: text):
        assert outcome.record is None or replace(outcome.record, id=outcome.source.id) == outcome.source
