"""What items share: examples that are not asked, topics with examples of their own, and every way of being asked."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lingraft.evaluate import harness, likelihood
from lingraft.evaluate.evaluate import load
from lingraft.evaluate.generate import Loaded
from lingraft.evaluate.likelihood import Question, score
from lingraft.evaluate.task import Item, Task, set_aside, taking_turns, without_overlap


def made(items: Sequence[Item], kind: Any, shots: Sequence[Item] = (), **others: Any) -> Task:
    return Task("made", "made", "Made", "en", "en", kind, tuple(items), tuple(shots), **others)


@pytest.fixture(scope="module")
def loaded(tiny_base: Path) -> Loaded:
    return load(tiny_base)


def scores(loaded: Loaded, *questions: Question) -> list[list[likelihood.Score]]:
    return score(loaded.model, loaded.tokenizer, questions, context_tokens=128)


def test_of_beginnings_the_one_with_the_likelier_end_is_taken(loaded: Loaded) -> None:
    items = [
        Item("0", "", (" was always gone.",), 1, contexts=("The best bread", "The old horse")),
        Item("1", "", (" have no name.",), 0, contexts=("The lake and the trees that", "They")),
    ]
    task = made(items, "choice", by_bytes=False)
    assert task.chance == 0.5
    answers = harness.answer(loaded, task, context_tokens=128)
    for item, answer in zip(items, answers, strict=True):
        slow = [of[0].logprob for of in scores(loaded, *(Question(begin, item.answers) for begin in item.contexts))]
        assert answer.logprobs == pytest.approx(slow, abs=1e-5)
        chosen = slow.index(max(slow))
        assert answer.response == item.contexts[chosen]
        assert answer.counts == {"accuracy": [float(chosen == item.gold), 1.0]}


def test_a_last_word_is_right_where_every_token_of_it_is_the_likeliest(loaded: Loaded) -> None:
    beginnings = ["The market opened at six, and by", "She wrote a long", "Nobody in the"]
    items = []
    for number, text in enumerate(beginnings):
        ids = loaded.tokenizer(text, return_tensors="pt").input_ids
        written = loaded.model.generate(ids, max_new_tokens=1, do_sample=False)[0, ids.shape[1] :]
        likeliest = loaded.tokenizer.decode(written)
        items.append(Item(str(number), text, (likeliest if number else " seven",)))
    task = made(items, "predict", metrics=("accuracy", "bits_per_byte"))
    assert task.chance is None
    answers = harness.answer(loaded, task, context_tokens=128)
    slow = [of[0] for of in scores(loaded, *(Question(item.context, item.answers) for item in items))]
    for item, answer, one in zip(items, answers, slow, strict=True):
        assert answer.counts["accuracy"] == [float(one.is_greedy), 1.0]
        bits = [-one.logprob / math.log(2), float(len(item.answers[0].encode()))]
        assert answer.counts["bits_per_byte"] == pytest.approx(bits, abs=1e-5)
        assert answer.response == (item.answers[0].strip() if one.is_greedy else "")
    assert any(one.is_greedy for one in slow)


def test_examples_of_the_same_topic_stand_before_an_item(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [Item(str(n), f"{'ab'[n % 2]} asks {n}:", (" yes", " no"), n // 2 % 2, topic="ab"[n % 2]) for n in range(6)]
    shots = [
        Item(f"shot {n}", f"{topic} shows {n}:", (" yes", " no"), 1, topic=topic) for n in (0, 1) for topic in "ab"
    ]
    contexts = []

    def listening(model: Any, tokenizer: Any, questions: Sequence[Question], **others: Any) -> Any:
        contexts.extend(question.context for question in questions)
        return score(model, tokenizer, questions, **others)

    monkeypatch.setattr(harness.likelihood, "score", listening)
    answers = harness.answer(loaded, made(items, "choice", shots), context_tokens=128)
    wanted = [f"{i.topic} shows 0: no\n\n{i.topic} shows 1: no\n\n{i.context}" for i in items]
    assert sorted(contexts) == sorted(wanted)
    assert [answer.item for answer in answers] == [item.id for item in items]
    slow = scores(loaded, *(Question(context, (" yes", " no")) for context in wanted))
    for answer, of_item in zip(answers, slow, strict=True):
        assert answer.logprobs == pytest.approx([one.logprob for one in of_item], abs=1e-5)


def test_in_a_conversation_an_answer_begins_without_a_space(tiny_base: Path) -> None:
    loaded = load(tiny_base)
    loaded.tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    shot = Item("shot", "Who sings?", (" Ann", " Ben"), 1)
    item = Item("0", "Who sleeps?", (" Ann", " the horse"))
    task = made([item], "choice", [shot], chat=True, metrics=("accuracy", "accuracy_sum"))
    (answer,) = harness.answer(loaded, task, context_tokens=128)
    context = "[user]Who sings?[assistant]Ben[user]Who sleeps?[assistant]"
    (slow,) = score(
        loaded.model,
        loaded.tokenizer,
        [Question(context, ("Ann", "the horse"))],
        context_tokens=128,
        bos=False,
        special_tokens=True,
    )
    assert answer.logprobs == pytest.approx([one.logprob for one in slow], abs=1e-5)
    by_byte = [one.logprob / one.bytes for one in slow]
    assert answer.counts["accuracy"][0] == float(by_byte[0] > by_byte[1])


def test_fewer_examples_are_fewer_of_every_topic() -> None:
    shots = [Item(f"{topic}{n}", f"{topic}{n}", ("x",), topic=topic) for topic in "abb" for n in range(3)]
    task = made([Item("i", "i", ("x",), topic="a")], "write", shots)
    assert [shot.id for shot in task.reduced(None, 2).shots] == ["a0", "a1", "b0", "b1"]
    assert (task.most_shots, task.reduced(None, 2).most_shots) == (6, 2)
    assert [shot.id for shot in replace(task, num_shots=1).reduced(None, None).shots] == ["a0", "b0"]
    assert list(task.by_topic()) == ["a"]


@pytest.mark.parametrize(
    "shot",
    [
        Item("x", "Who sings?", (" Ann", " Ben"), 1),
        Item("x", " who\u00a0SINGS? ", (" Ben", " Ann")),
        Item("x", "Another one", (" a", " b"), group="page 1"),
    ],
)
def test_an_example_that_gives_an_answer_away_is_dropped(shot: Item) -> None:
    asked = [Item("0", "Who sings?", (" Ann", " Ben")), Item("1", "Who?", (" a", " b"), group="page 1")]
    other = Item("0", "Who sings?", (" Ann", " Carl"))
    assert without_overlap([shot, other], asked) == (other,)


def test_the_alphabet_of_turkish_does_not_hide_an_example() -> None:
    assert without_overlap([Item("0", "IŞIK İÇİN", ("X",))], [Item("1", "ışık için", ("x",))]) == ()


def test_groups_are_set_aside_whole() -> None:
    items = [Item(f"{group}{n}", f"{group}{n}", ("x",), group=str(group)) for n in range(2) for group in range(12)]
    shots, asked = set_aside(items, 2, by=lambda item: item.group)
    assert [shot.id for shot in shots] == ["00", "10"]
    assert {item.group for item in asked} == set(map(str, range(2, 12)))
    shots, asked = set_aside(items, 2, by=lambda item: item.group, every=2)
    assert [shot.id for shot in shots] == ["00", "20"]
    assert {item.group for item in asked} == set(map(str, range(3, 12)))
    assert len(asked) == 18


def test_options_take_turns() -> None:
    items = [Item(str(number), "", ("a", "b"), gold) for number, gold in enumerate([1, 1, 1, 0, 0])]
    assert [item.id for item in taking_turns(items)] == ["3", "0", "4", "1", "2"]


def test_an_item_is_its_solution() -> None:
    assert Item("0", "Ann", (" sings", " sleeps"), 1).solved == "Ann sleeps"
    assert Item("0", "", (" sings",), 1, contexts=("Ann", "Ben")).solved == "Ben sings"
