import pytest

from lingraft.corpus.language import find
from lingraft.evaluate.language import prose

POLISH, HINDI, JAPANESE, THAI = (find(tag) for tag in ("pl", "hi", "ja", "th"))


def told(text: str, tag: str = "pl") -> list[str]:
    """The words that say which language they are."""
    return [word.text for line in prose.sentences(text) for word in prose.words(line, find(tag)) if not word.mute]


def reasons(text: str, tag: str = "pl") -> dict[str, str]:
    return {word.text: word.mute for line in prose.sentences(text) for word in prose.words(line, find(tag))}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Adres to https://example.com/some/path?q=word oraz www.example.com/word.", ["Adres", "to", "oraz"]),
        ("Napisz na some.body@example.com w sprawie #hashtag od @somebody.", ["Napisz", "na", "w", "sprawie", "od"]),
        ("Wpisz `git reset --soft` i zapisz.", ["Wpisz", "i", "zapisz"]),
        ("Plik settings.json leży w src/components/LoginForm.tsx oraz /etc/hosts.", ["Plik", "leży", "w", "oraz"]),
        ("Katalog examples/basic/ jest pusty.", ["Katalog", "jest", "pusty"]),
        ("Zmienna user_name i C3H8 oraz mp3 mają 20 kWh.", ["Zmienna", "i", "oraz", "mają"]),
        ("Funkcja print(x) pisze.", ["Funkcja", "pisze"]),
        ("Użyj --verbose zawsze.", ["Użyj", "zawsze"]),
        ("To <b class='x'>ważne</b>.", ["To", "ważne"]),
        ("Tak i/lub nie.", ["Tak", "i", "lub", "nie"]),
        (
            "Oto pętla:\n```python\nfor item in shopping_list:\n    print(item)\n```\nKoniec.",
            ["Oto", "pętla", "Koniec"],
        ),
        ("Kupił:\n- jabłka;\n- gruszki {a}\nfoo(bar);", ["Kupił", "jabłka"]),
        ("Dalej:\n```\nnothing of this is closed", ["Dalej"]),
        ("import os\nfrom os import path\nx = path.join(a, b)\nwhile True:\n}\nKoniec pliku.", ["Koniec", "pliku"]),
        (
            "with a friend of mine (who was late) he went home",
            ["with", "a", "friend", "of", "mine", "who", "was", "late", "he", "went", "home"],
        ),
    ],
)
def test_code_addresses_and_numbers_are_no_words(text: str, words: list[str]) -> None:
    assert told(text) == words


def test_why_a_word_is_mute() -> None:
    found = reasons("Pan Kowalski z NATO kupił iPhone i witaminę D.")
    assert found == {
        "Pan": "",
        "Kowalski": "name",
        "z": "",
        "NATO": "abbreviation",
        "kupił": "",
        "iPhone": "mixed",
        "i": "",
        "witaminę": "",
        "D": "letter",
    }


def test_titles_and_glosses_are_names() -> None:
    assert told("Oglądał „Game of Thrones” i *The Wire* do rana.") == ["Oglądał", "i", "do", "rana"]
    assert told("Pekin (北京) i Dostojewski (Фёдор Достоевский) oraz (to jest) tekst.") == [
        *("Pekin", "i", "oraz", "to", "jest", "tekst")
    ]
    # What somebody says is no title, and neither is a heading.
    assert "sure" in told("„I am not sure yet,” powiedział.")
    assert told("**Some heading** i „mały napis”") == ["Some", "heading", "i", "mały", "napis"]


def test_where_most_words_have_capitals_these_tell_no_names() -> None:
    assert told("The House Of The Old Man") == ["The", "House", "Of", "The", "Old", "Man"]
    assert told("THIS IS A HOUSE") == ["THIS", "IS", "HOUSE"]


def test_a_capital_after_a_beginning() -> None:
    words = prose.words("Tak: Ona śpi, a Maria nie.", POLISH)
    assert [(word.text, word.first, word.mute) for word in words] == [
        *(("Tak", True, ""), ("Ona", True, ""), ("śpi", False, ""), ("a", False, "")),
        *(("Maria", False, "name"), ("nie", False, "")),
    ]


def test_what_an_apostrophe_joins_is_one_word() -> None:
    words = prose.words("toplantı meeting'i ve don’t l'amico", find("tr"))
    assert [(word.text, word.stem) for word in words] == [
        *(("toplantı", "toplantı"), ("meeting'i", "meeting"), ("ve", "ve"), ("don’t", "don"), ("l'amico", "amico"))
    ]


def test_scripts() -> None:
    words = prose.words("यह एक good क़िताब है और и", HINDI)
    assert [word.text for word in words if not word.own_script] == ["good", "и"]
    assert [word.text for word in words if word.own_script] == ["यह", "एक", "क़िताब", "है", "और"]
    words = prose.words("これはテストです。ラーメン good текст", JAPANESE)
    assert {word.text for word in words if not word.own_script} == {"good", "текст"}
    assert "テスト" in [word.text for word in words if word.own_script]
    assert [word.text for word in prose.words("ภาษาไทย", THAI)] == ["ภาษา", "ไทย"]
    # Chinese in Polish: cut into words too, so that a long run weighs more than one.
    assert len(prose.words("To 没有人受伤 tak", POLISH)) > 3


def test_sentences() -> None:
    assert [line.strip() for line in prose.sentences("Ala śpi. Czy Ola też? Tak!\nBo co\nA वह गया। फिर आया।")] == [
        *("Ala śpi.", "Czy Ola też?", "Tak!", "Bo co", "A वह गया।", "फिर आया।")
    ]
    assert list(prose.sentences(" \n\t ")) == []


def test_running_words_hold_everything() -> None:
    assert prose.running_words("Ala ma 2 koty, `x` i ภาษาไทย!") == ["ala", "ma", "2", "koty", "x", "i", "ภาษา", "ไทย"]
    assert prose.running_words("😀 … !") == []


def test_letter_runs() -> None:
    assert prose.letter_runs("don't e-mail x2 क़िताब") == ["don", "t", "e", "mail", "x", "क़िताब"]
    assert prose.letter_runs("A ภาษาไทย") == ["A", "ภาษา", "ไทย"]


@pytest.mark.parametrize(
    "piece",
    [
        *"a(<@中\u0301👍",
        *[
            "a.",
            "a/",
            "a_",
            "`a",
            "*A",
            '"A',
            "(北",
            "a@",
            "aB.",
            "a'",
            "/a",
            "“Aa",
            "a.a.aB",
            "www.",
            "a/b.",
            "1a",
            ";}",
        ],
        "x = ",
    ],
)
def test_no_pattern_goes_wild(piece: str) -> None:
    """One that backtracks would not end within the limit of a test."""
    text = piece * (6_000 // len(piece))
    for line in (text, f"{text} ", f"a {text}", text + "\n" + text):
        for sentence in prose.sentences(line):
            prose.words(sentence, POLISH)


def test_a_number_without_end() -> None:
    """Quadratic time would not end within the limit of a test."""
    assert prose.words("1," * 400_000, POLISH) == []
