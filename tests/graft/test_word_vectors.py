import sys
from pathlib import Path

import pytest
import torch

from lingraft.core.errors import InputError
from lingraft.core.progress import Progress
from lingraft.graft import word_vectors
from lingraft.graft.word_vectors import Training, Vectors, in_tokens, in_words, learn, load
from lingraft.tokenizer import family

SMALL = Training(dimensions=8, epochs=3, fewest=2, ngrams=(3, 6))


def save(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_words_are_found_in_any_script() -> None:
    assert word_vectors.split("Koń, który pił.") == ["Koń", ",", "który", "pił", "."]
    assert word_vectors.split("ฉันกินข้าว") == ["ฉัน", "กิน", "ข้าว"]


def test_texts_are_read_to_the_one_that_fills_the_size(polish: list[str], tiny_base: Path) -> None:
    assert len(in_words(polish, 1).texts) == len(polish)
    half = sum(len(text.encode()) for text in polish[:3]) / 1e6
    assert len(in_words(polish, half).texts) == 3
    tokens = in_tokens(family.open(tiny_base), polish, half)
    spelled = [[tokens.names[number] for number in text] for text in tokens.texts]
    assert spelled == [family.open(tiny_base).tokenize(text, add_special_tokens=False) for text in polish[:3]]


def test_long_texts_are_cut_into_sentences() -> None:
    sentences = list(in_words(["ein " * 2500], 1))
    assert [len(sentence) for sentence in sentences] == [1024, 1024, 452]


def test_learning_depends_on_the_seed_alone(polish: list[str]) -> None:
    def learned(seed: int) -> Vectors:
        return learn(in_words(polish * 4, 1), SMALL, where=Path("base"), seed=seed)

    first, again, other = learned(1), learned(1), learned(2)
    assert first.words == again.words
    assert torch.equal(first.vectors_WC, again.vectors_WC)
    assert not torch.equal(first.vectors_WC, other.vectors_WC)
    assert first.vectors_WC.shape == (len(first.words), 8)
    assert first.frequencies_W.tolist() == sorted(first.frequencies_W.tolist(), reverse=True)
    assert first.frequencies_W[first.words.index("koń")] == 4


def test_words_of_like_surroundings_are_alike() -> None:
    texts = [f"{animal} drinks water at the river" for animal in ("horse", "cow")] * 60
    texts += [f"they {verb} slowly over a wide bridge" for verb in ("walk", "ride")] * 60
    found = learn(in_words(texts, 1), Training(16, 30, 1, (7, 7)), where=Path("base"), seed=0)
    place = found.words.index
    alike = torch.cat(list(word_vectors.cosines(found.vectors_WC, found.vectors_WC)))
    assert alike[place("horse"), place("cow")] > alike[place("horse"), place("ride")]


def test_progress_counts_every_word_of_every_epoch(polish: list[str]) -> None:
    class Counting(Progress):
        total = done = 0.0

        def start(self, what: str, total: float | None = None, unit: str = "") -> None:
            self.total = total or 0

        def advance(self, amount: float = 1) -> None:
            self.done += amount

    progress = Counting()
    learn(in_words(polish, 1), SMALL, where=Path("base"), seed=0, progress=progress)
    assert progress.done == progress.total > 100


def test_too_little_text_is_an_error(polish: list[str]) -> None:
    with pytest.raises(InputError, match=r"base: no word or token stands 99 times(.|\n)*fewest"):
        learn(in_words(polish, 1), Training(8, 1, 99, (3, 6)), where=Path("base"), seed=0)


def test_without_gensim_the_extra_is_named(polish: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(InputError, match=r"gensim, which is not installed(.|\n)*lingraft\[vectors\]"):
        learn(in_words(polish, 1), SMALL, where=Path("base"), seed=0)


@pytest.mark.parametrize("header", ["", "3 2\n"])
def test_files_are_read_with_and_without_header(header: str, tmp_path: Path) -> None:
    found = load(save(tmp_path / "words.vec", header + "the 1 2\nhorse -1 .5 \nkoń 0 1e-2\n"))
    assert found.words == ["the", "horse", "koń"]
    assert torch.allclose(found.vectors_WC, torch.tensor([[1, 2], [-1, 0.5], [0, 0.01]]))
    assert torch.allclose(found.frequencies_W, torch.tensor([1, 1 / 2, 1 / 3]))


def test_no_more_words_are_read_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_vectors, "MAX_WORDS", 2)
    assert load(save(tmp_path / "words.vec", "a 1 2\nb 1 2\nc x y\n")).words == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1 2\nb 1\n", r"words.vec:2: 'b' is followed by 1 numbers, not 2"),
        ("a 1 x\n", r"words.vec:1: what follows 'a' is not all numbers"),
        ("3 2\nhorse\n", r"words.vec:2: 'horse' is followed by 0 numbers"),
        ("", r"words.vec:1: there are no vectors here"),
    ],
)
def test_a_broken_line_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message + r"(.|\n)*\.vec"):
        load(save(tmp_path / "words.vec", text))
