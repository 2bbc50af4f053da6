import pytest

from lingraft.tokenizer.words_of_text import count_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ala ma kota, a kot ma Alę.", 7),
        ("", 0),
        ("ภาษาไทยเป็นภาษาที่สวยงาม", 6),
        ("我们今天去学校。", 4),
        ("Model GPT 我们", 3),
    ],
)
def test_words_with_and_without_spaces(text: str, words: int) -> None:
    assert count_words(text) == words
