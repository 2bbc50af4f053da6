"""The starter's conversations, preferences and prompts: whole, of one form, and nothing twice."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pytest

import lingraft
from lingraft.ask.message import ASSISTANT, SYSTEM, USER, Message, from_json
from lingraft.conversations.record import Conversation, Preference, record

STARTER = Path(lingraft.__file__).parent / "starter"
POLISH = set("ąćęłńóśźż")
LONGEST_LINE = 1200
NAMES = ["instructions/pl", "instructions/en", "preferences/pl", "preferences/en", "prompts/pl"]
FAULTS = {
    *("wrong_language", "off_topic", "wrong", "rude", "empty_phrases"),
    *("repeats", "too_short", "unfinished", "ungrammatical", "ignores_form"),
}


def rows(name: str) -> list[dict]:
    lines = (STARTER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= LONGEST_LINE
    return [json.loads(line) for line in lines]


def conversations(language: str) -> list[Conversation]:
    found = [record(row) for row in rows(f"instructions/{language}")]
    assert all(isinstance(one, Conversation) for one in found)
    return found


def preferences(language: str) -> list[Preference]:
    found = [record(row) for row in rows(f"preferences/{language}")]
    assert all(isinstance(one, Preference) for one in found)
    return found


def prompts() -> dict[str, tuple[Message, ...]]:
    return {row["id"]: from_json(row["messages"]) for row in rows("prompts/pl")}


def asked_in(language: str) -> list[tuple[str, tuple[Message, ...]]]:
    asked = [(one.id, one.messages) for one in conversations(language)]
    return asked + [(pair.id, pair.prompt) for pair in preferences(language)]


def polish(text: str) -> bool:
    return not POLISH.isdisjoint(text.lower())


def check_turns(messages: Sequence[Message], last: str) -> None:
    """Perhaps a system message, then user and assistant in turn; nothing empty, nothing with space around it."""
    roles = [message.role for message in messages]
    turns = roles[1:] if roles[0] == SYSTEM else roles
    assert turns == [USER if number % 2 == 0 else ASSISTANT for number in range(len(turns))]
    assert turns[-1] == last
    assert all(message.content and message.content == message.content.strip() for message in messages)


def test_there_are_enough_of_each() -> None:
    assert len(conversations("pl")) >= 180
    assert len(conversations("en")) >= 80
    assert len(preferences("pl")) >= 100
    assert len(preferences("en")) >= 40
    assert len(prompts()) >= 30
    several = [one for one in conversations("pl") if len(one.answers) > 1]
    with_system = [one for one in conversations("pl") if one.messages[0].role == SYSTEM]
    assert len(several) >= 30
    assert len(with_system) >= 10


@pytest.mark.parametrize("language", ["pl", "en"])
def test_users_and_assistants_alternate(language: str) -> None:
    for one in conversations(language):
        check_turns(one.messages, ASSISTANT)
    for pair in preferences(language):
        check_turns(pair.prompt, USER)
    for prompt in prompts().values():
        check_turns(prompt, USER)


def test_nothing_is_asked_twice() -> None:
    """Neither within a set nor across them, nor in almost the same words."""
    asked = {id: messages for language in ("pl", "en") for id, messages in asked_in(language)} | prompts()
    assert len(asked) == sum(len(rows(name)) for name in NAMES)
    words = {
        id: set(re.findall(r"\w+", " ".join(one.content for one in messages if one.role == USER).lower()))
        for id, messages in asked.items()
    }
    near = [
        (one, other)
        for one, other in combinations(words, 2)
        if len(words[one] & words[other]) > 0.65 * len(words[one] | words[other])
    ]
    assert near == []


def test_no_answer_is_given_twice() -> None:
    for language in ("pl", "en"):
        answers = Counter(answer for one in conversations(language) for answer in one.answers)
        answers.update(pair.chosen for pair in preferences(language))
        assert [answer for answer, times in answers.items() if times > 1] == []


def test_polish_is_polish_and_english_is_not() -> None:
    answers = [answer for one in conversations("pl") for answer in one.answers]
    letters = [letter for answer in answers for letter in answer.lower() if letter.isalpha()]
    # Running Polish has 6 to 8 % of these letters.
    assert 0.05 < sum(letter in POLISH for letter in letters) / len(letters) < 0.1
    assert sum(map(polish, answers)) > 0.97 * len(answers)
    assert sum(polish(pair.chosen) for pair in preferences("pl")) > 0.9 * len(preferences("pl"))
    assert not any(polish(message.content) for one in conversations("en") for message in one.messages)
    assert not any(polish(pair.chosen) for pair in preferences("en"))


@pytest.mark.parametrize("language", ["pl", "en"])
def test_the_worse_answer_is_worse_in_a_named_way(language: str) -> None:
    why = {row["id"]: row["why"] for row in rows(f"preferences/{language}")}
    assert set(why.values()) == FAULTS
    for pair in preferences(language):
        assert pair.chosen.strip() == pair.chosen != pair.rejected.strip() == pair.rejected
        assert pair.rejected
        if why[pair.id] == "wrong_language":
            assert polish(pair.rejected) == (language == "en")
        if why[pair.id] == "too_short":
            assert len(pair.rejected) < len(pair.chosen) / 2


@pytest.mark.parametrize("language", ["pl", "en"])
def test_length_does_not_tell_the_better_answer(language: str) -> None:
    pairs = preferences(language)
    longer = sum(len(pair.rejected) > len(pair.chosen) for pair in pairs)
    assert 0.4 <= longer / len(pairs) <= 0.6
