"""Items that stand in the training text, whole or in part."""

from pathlib import Path

from lingraft.corpus.language import find as language
from lingraft.evaluate import leaks
from lingraft.evaluate.labeled.data import LabeledItem, Splits
from lingraft.evaluate.labeled.suites import asked as labeled
from lingraft.evaluate.labeled.tasks import TASKS
from lingraft.evaluate.suites.choice import Question, both_ways
from lingraft.evaluate.suites.source import Source
from lingraft.evaluate.suites.words import WRITTEN
from lingraft.evaluate.task import Answer, Item, Task

KEEPER = "Why did the old keeper of the lighthouse count the stairs?"
PATHS = "Where do the narrow paths of the northern forest lead in winter?"
FEARED = "He feared the sea."
OTHERS = [f"Once, in {n} towns, {n} people met at the market and spoke about bread." for n in "abc"]


def task(*items: Item, **changes: object) -> Task:
    return Task("toy", "toy", "Toy", "pl", "pl", "choice", **{"items": items, **changes})


def leaked(asked: Task, *texts: str) -> list[str]:
    return leaks.find([asked], [*OTHERS, *texts])[0].items


def test_items_that_stand_in_the_training_text_are_named() -> None:
    asked = task(
        Item("planted", f"Question: {KEEPER}\nAnswer:", (f" {FEARED}", " x")),
        Item("clean", f"Question: {PATHS}\nAnswer:", (" To the lake.", " x")),
        Item("short", "Who argued?", (" He", " x")),
    )
    (found,) = leaks.find([asked], [*OTHERS, f"It was said: {KEEPER.lower()} {FEARED} And so on."])
    assert (found.items, found.too_short) == (["planted"], 1)
    given = {
        model: [
            Answer(item.id, "x", {"accuracy": [right, 1.0]}) for item, right in zip(asked.items, rights, strict=True)
        ]
        for model, rights in {"base": [1.0, 0, 0], "adapted": [1.0, 1.0, 0]}.items()
    }
    (figures,) = leaks.figures([found], {"toy": given})
    assert (figures["leaked"], figures["items"], figures["examples"]) == (1, 3, ["planted"])
    assert figures["without"] == {"base": 0, "adapted": 0.5}
    assert leaked(asked) == []


def test_an_item_is_found_in_the_prompt_that_it_is_asked_in() -> None:
    """As where a training text was made of the very test, labels included, and by another form of it."""
    questions = [
        Question("planted", KEEPER, (FEARED, "He liked the view."), 0),
        Question("clean", PATHS, ("To the lake.", "To the hills."), 0),
    ]
    letters, options = both_ways("toy", "Toy", Source(language("en"), Path()), WRITTEN["en"], questions, [], "")
    for asked in (letters, options):
        for text in (letters.items[0].solved, options.items[0].solved, KEEPER):
            assert leaked(asked, text) == ["planted"], text


def test_one_side_of_a_translation_is_enough() -> None:
    sides = (KEEPER, "Dlaczego stary latarnik co wieczór liczył schody w swojej latarni morskiej?")
    asked = task(
        Item("planted", f"English: {sides[0]}\nPolish:", (f" {sides[1]}",)),
        Item(
            "clean", f"English: {PATHS}\nPolish:", (" Dokąd prowadzą zimą wąskie ścieżki w północnym lesie za wsią?",)
        ),
    )
    assert [leaked(asked, side) for side in sides] == [["planted"]] * 2


def test_a_passage_and_any_option_are_looked_for() -> None:
    wrong = "Because the wind had taken three of them in autumn."
    asked = task(
        Item("1", f"Text: {PATHS}\nQuestion: Why?\nAnswer:", (" yes", " no")),
        Item("2", "Question: Why?\nAnswer:", (" yes", f" {wrong}")),
    )
    assert leaked(asked, PATHS) == ["1"]
    assert leaked(asked, wrong) == ["2"]


def test_two_documents_together_do_not_hold_an_item() -> None:
    words = [f"word{number}" for number in range(32)]
    asked = task(Item("1", " ".join(words), (" x",)))
    parts = [" ".join(words[begin : begin + 14]) for begin in (0, 14)]
    assert leaked(asked, *parts) == []
    assert leaked(asked, " ".join(parts)) == ["1"]


def test_words_of_the_prompt_are_no_leak() -> None:
    told = "Read the sentence and say which of the two endings is the right one."
    asked = task(*(Item(f"{n}", f"{told}\nItem {n}:", (" yes", " no")) for n in range(3)))
    assert leaked(asked, told) == []
    passage = task(*(Item(f"{n}", f"{PATHS}\nItem {n}:", (" yes", " no"), group="one") for n in range(3)))
    assert leaked(passage, PATHS) == ["0", "1", "2"]


def test_of_a_sentence_in_two_parts_neither_is_too_short() -> None:
    item = Item("0", "The rope broke because", (" the old bucket was too heavy for it.", " it rained."))
    assert leaked(task(item), item.solved) == ["0"]


def test_of_beginnings_the_right_one_is_looked_for() -> None:
    item = Item("0", "", (" was two inches too long for the small box.",), 1, contexts=("The spoon", "The old knife"))
    assert leaked(task(item), f"He said: {item.solved}") == ["0"]


def test_scripts_without_spaces_are_looked_for_by_characters() -> None:
    text = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
    other = Item("other", "月日は百代の過客にして行かふ年も又旅人也舟の上に", ("生涯", "x"))
    # The English of a Japanese task is looked for by words.
    english = Item("english", f"English: {KEEPER}\nJapanese:", ("x",))
    asked = task(Item("neko", text[:25], (text[25:], "x")), other, english)
    assert leaked(asked, text) == ["neko"]
    assert leaked(asked, KEEPER) == ["english"]


def test_of_a_labeled_item_each_text_is_looked_for_without_its_label() -> None:
    kind = TASKS["cdsc_r"]
    test = [LabeledItem("planted", (KEEPER, PATHS), 1), LabeledItem("clean", ("Nobody walks.", "Nobody."), 2)]
    result = {
        "model": "base",
        "method": "full",
        "seed": 1,
        "score": 1.0,
        "items": ["planted", "clean"],
        "answers": [1, 2],
    }
    asked, _ = labeled(kind, Splits(test, test, test), [result], suite="klej")
    assert leaked(asked, PATHS) == leaked(asked, KEEPER) == ["planted"]


def test_items_that_the_harness_has_are_not_searched() -> None:
    asked = Task("hellaswag", "harness", "hellaswag", "en", "", "harness", (), harness="hellaswag")
    (figures,) = leaks.figures(leaks.find([asked], OTHERS), {"hellaswag": {}})
    assert (figures["searched"], figures["items"]) == (False, 0)
