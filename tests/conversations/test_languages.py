from pathlib import Path

import pytest
from made_records import ENGLISH, POLISH, lines, texts

import lingraft
from lingraft.conversations.languages import ANOTHER, IN_LANGUAGE, IN_SCRIPT, TOO_SHORT, Expected
from lingraft.conversations.translate.filters import LANGUAGE, Bad, check_language
from lingraft.corpus import find

PL, EN, ZH, RU = (find(tag) for tag in ("pl", "en", "zh", "ru"))
STARTER = Path(lingraft.__file__).parent / "starter"
CODE = "```python\nfor line in lines_of_the_file:\n    print(line, end='')\n```"


def learned() -> Expected:
    train, held_out = ((texts(POLISH, number), texts(ENGLISH, number)) for number in (50, 20))
    return Expected.learn(PL, EN, train, held_out)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (POLISH[0][1], IN_LANGUAGE),
        (ENGLISH[0][1], ANOTHER),
        (f"{POLISH[0][1]} {CODE}", IN_LANGUAGE),
        (CODE, TOO_SHORT),
        ("Herbatę.", TOO_SHORT),
        ("42", TOO_SHORT),
        ("", TOO_SHORT),
        ("Вчера мы ели суп и хлеб, а потом пили чай.", ANOTHER),
        (f"{POLISH[0][1]} {POLISH[1][1]} {ENGLISH[0][1]}", IN_LANGUAGE),
    ],
)
def test_words_tell_two_languages_of_one_script(text: str, said: str) -> None:
    assert learned().judge([text]) == said


def test_a_question_may_be_about_a_text_in_another_language() -> None:
    text = " ".join(f"{asked} {said}" for asked, said in ENGLISH)
    for asked in ([f"{POLISH[0][0]}\n\n{text}"], [text, POLISH[0][0]], [f"Co jadłeś na kolację: {ENGLISH[0][1]}"]):
        assert learned().judge([" ".join(asked)]) == ANOTHER
        assert learned().judge_question(asked) == IN_LANGUAGE
    assert learned().judge_question([text]) == ANOTHER
    assert learned().judge_question([CODE]) == TOO_SHORT
    assert Expected(PL, EN).judge_question([text]) == IN_SCRIPT


def test_the_script_alone() -> None:
    chinese = Expected(ZH, EN)
    assert chinese.judge(["昨天我们喝了茶，然后回家了。"]) == IN_LANGUAGE
    assert chinese.judge([ENGLISH[0][1]]) == ANOTHER
    assert chinese.judge(["茶"]) == TOO_SHORT
    assert Expected(PL, EN).judge([ENGLISH[0][1]]) == IN_SCRIPT
    assert Expected(PL, None).judge([ENGLISH[0][1]]) == IN_SCRIPT
    assert Expected(PL, RU).judge([POLISH[0][1]]) == IN_LANGUAGE
    # Japanese is written in Chinese characters too.
    assert Expected(find("ja"), ZH).judge(["昨天我们喝了茶，然后回家了。"]) == IN_SCRIPT


def test_two_scripts_need_no_learning() -> None:
    judge = Expected.learn(ZH, EN, ([], []), ([], []))
    assert judge.figures() == {"language": "zh", "by": "script", "trial": None, "not_by_words": None}


def test_how_well_words_tell_is_measured() -> None:
    figures = learned().figures()
    assert figures["by"] == "words"
    assert figures["trial"] == {"own": 100, "own_missed": 0.0, "other": 100, "other_missed": 0.0}


@pytest.mark.parametrize(
    ("train", "held_out", "why"),
    [
        ((texts(ENGLISH, 50), texts(POLISH, 50)), (texts(POLISH, 20), texts(ENGLISH, 20)), "the corpus is too small"),
        ((texts(POLISH, 50), texts(ENGLISH, 50)), (texts(POLISH, 2), texts(ENGLISH, 2)), "the corpus is too small"),
        ((texts(POLISH, 50), ["12 34"]), ([], []), "the text in English has no words to learn the language from"),
    ],
)
def test_words_that_do_not_prove_themselves_do_not_judge(
    train: tuple[list[str], list[str]], held_out: tuple[list[str], list[str]], why: str
) -> None:
    judge = Expected.learn(PL, EN, train, held_out)
    assert judge.judge([ENGLISH[0][1]]) == IN_SCRIPT
    figures = judge.figures()
    assert figures["by"] == "script"
    assert str(figures["not_by_words"]).startswith(why)


def test_the_starter_names_its_answers_in_the_wrong_language() -> None:
    """Learned from the starter's texts, which are small; all that is judged is judged rightly."""
    documents = {
        tag: [row["text"] for path in sorted((STARTER / "texts" / tag).glob("*.jsonl")) for row in lines(path)]
        for tag in ("pl", "en")
    }
    judged = 0
    for own, other in (("pl", "en"), ("en", "pl")):
        train, held_out = (
            (documents[own][part::step], documents[other][part::step]) for part, step in ((0, 2), (1, 2))
        )
        expected = Expected.learn(find(own), find(other), train, held_out)
        for pair in lines(STARTER / "preferences" / f"{own}.jsonl"):
            wrong = {"chosen": False, "rejected": pair["why"] == "wrong_language"}
            for answer, is_wrong in wrong.items():
                said = expected.judge([pair[answer]])
                judged += said != TOO_SHORT
                assert said in (TOO_SHORT, ANOTHER if is_wrong else IN_LANGUAGE), pair[answer]
    assert judged > 270


@pytest.mark.parametrize("is_answer", [True, False])
def test_a_translation_that_is_none_is_told_by_its_words(is_answer: bool) -> None:
    check_language(POLISH[0][1], learned(), is_answer=is_answer)
    with pytest.raises(Bad, match=LANGUAGE):
        check_language(ENGLISH[0][1], learned(), is_answer=is_answer)
