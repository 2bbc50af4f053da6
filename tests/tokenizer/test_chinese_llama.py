from pathlib import Path

import pytest

from lingraft.core.errors import InputError
from lingraft.tokenizer import append, chinese_llama, content
from lingraft.tokenizer.extension import open_source
from lingraft.tokenizer.method import Texts

bpe = pytest.mark.parametrize("name", ["tiny_base", "sentencepiece_base"])


@pytest.fixture
def base(name: str, request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(name)


@bpe
def test_new_merges_come_before_the_old_and_ids_after_them(base: Path, polish: list[str]) -> None:
    source = open_source(base)
    extended = chinese_llama.method(source, Texts(polish * 3), 80)
    old, new = content.merges(source.content["model"]), content.merges(extended.content["model"])
    made = {left + right for left, right in new[: len(new) - len(old)]}
    assert extended.ahead
    assert set(new[-len(old) :]) >= set(old[-10:])
    assert made >= {token for token in extended.new_tokens if len(token) > 1}
    vocabulary = source.tokenizer.get_vocab()
    first = max(vocabulary.values()) + 1
    ids = {token: first + at for at, token in enumerate(extended.new_tokens)}
    assert extended.content["model"]["vocab"] == vocabulary | ids


@bpe
def test_the_tokens_are_those_of_append_and_more_are_reached(base: Path, polish: list[str]) -> None:
    source, texts = open_source(base), Texts(polish * 3)
    ahead, below = chinese_llama.method(source, texts, 80), append.method(source, texts, 80)
    assert ahead.new_tokens == below.new_tokens
    assert ahead.figures["unreachable"] < below.figures["unreachable"]


def test_it_is_flagged_as_harmful(tiny_base: Path, polish: list[str]) -> None:
    figures = chinese_llama.method(open_source(tiny_base), Texts(polish), 20).figures
    assert "segmented otherwise than in its training" in figures["harmful"]


def test_a_tokenizer_without_merges_is_refused(unigram_base: Path, polish: list[str]) -> None:
    with pytest.raises(InputError, match="method chinese_llama works with merges"):
        chinese_llama.method(open_source(unigram_base), Texts(polish), 10)
