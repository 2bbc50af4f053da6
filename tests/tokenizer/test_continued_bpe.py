import json
from itertools import pairwise
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from lingraft.core.errors import StageError
from lingraft.tokenizer import content, family, kind, words
from lingraft.tokenizer.continued_bpe import learn, method
from lingraft.tokenizer.extension import extend, open_source
from lingraft.tokenizer.method import Source, Texts
from lingraft.tokenizer.proofs import prove, prove_guard

HINDI = ["हिन्दी में लिखा हुआ पाठ है।", "नदी के किनारे पेड़ लगे हुए थे।", "लड़की ने लम्बी चिट्ठी लिखी।"]


@pytest.fixture
def source(tiny_base: Path) -> Source:
    return open_source(tiny_base)


@pytest.mark.parametrize("new_tokens", [1, 60])
def test_every_family_passes_its_proofs(
    any_base: Path, new_tokens: int, tmp_path: Path, polish: list[str], english: list[str]
) -> None:
    figures = extend(any_base, polish * 3, tmp_path, new_tokens=new_tokens)
    assert figures["new_tokens"] == new_tokens
    proofs = prove(any_base, tmp_path, [*polish, "Całkiem inne zdanie."], english)
    assert proofs["unreachable"] == proofs["old_ids_moved"] == 0
    assert proofs["round_trip"]["exact"] == proofs["round_trip"]["documents"] == 17


def test_new_tokens_shorten_the_text_in_every_family(any_base: Path, tmp_path: Path, polish: list[str]) -> None:
    extend(any_base, polish * 3, tmp_path, new_tokens=60)
    lengths = [
        sum(len(ids) for _, ids in family.encode(family.open(folder), polish)) for folder in (any_base, tmp_path)
    ]
    assert lengths[1] < 0.8 * lengths[0]


def test_a_guarded_text_is_segmented_as_before_in_every_family(
    any_base: Path, tmp_path: Path, polish: list[str]
) -> None:
    guard, free, guarded = polish[:2], tmp_path / "free", tmp_path / "guarded"
    extend(any_base, polish * 2, free, new_tokens=60)
    figures = extend(any_base, polish * 2, guarded, new_tokens=60, guard=guard)
    with pytest.raises(StageError, match=r"2 of 2 guarded texts are segmented otherwise(.|\n)*as its guard"):
        prove_guard(any_base, free, guard)
    assert prove_guard(any_base, guarded, guard) == {"documents": 2, "resegmented": 0}
    assert figures["new_tokens"] > 40
    assert figures["text"]["guard"]["documents"] == 2


def test_the_guard_leaves_out_what_neighbours_spell_and_nothing_else(source: Source, polish: list[str]) -> None:
    backend = source.tokenizer.backend_tokenizer
    segmented = [backend.model.tokenize(word) for word in words.count(backend, polish[:2])[0]]
    spelled = {left.value + right.value for word in segmented for left, right in pairwise(word)}
    free, guarded = learn(source, polish * 2, 400), learn(source, polish * 2, 400, guard=polish[:2])
    assert spelled & set(free.tokens)
    assert not spelled & set(guarded.tokens)
    # What comes before the first that may not be learned is the same.
    first = next(at for at, token in enumerate(free.tokens) if token in spelled)
    assert guarded.tokens[:first] == free.tokens[:first]
    assert guarded.figures["guard"]["spellings"] == len(spelled)


def test_learning_does_not_depend_on_the_order_of_the_texts(any_base: Path, polish: list[str]) -> None:
    source = open_source(any_base)
    assert learn(source, polish * 2, 80).tokens == learn(source, polish[::-1] * 2, 80).tokens


def test_no_token_is_learned_twice_or_from_a_single_pair(source: Source) -> None:
    assert learn(source, ["żółw"], 10).tokens == []
    tokens = learn(source, ["żółw jeż żółw jeż"], 100).tokens
    assert tokens
    assert len(set(tokens)) == len(tokens)
    assert not set(tokens) & set(source.tokenizer.get_vocab())


def test_no_token_reaches_across_an_added_one(source: Source) -> None:
    assert learn(source, ["ż<|eos|>ż<|eos|>ż"] * 3, 10).tokens == ["Å¼"]


def test_the_figures_say_what_was_read(source: Source) -> None:
    learned = learn(source, ["żaba", "żaba"], 1, held_out=["żaba"])
    assert learned.figures == {
        "documents": 2,
        "bytes": 10,
        "distinct_words": 1,
        "characters": 0,
        "guard": {"documents": 0, "bytes": 0, "spellings": 0},
    }
    assert learned.counts == [2]
    assert learned.held_out_tokens == [5, 4]
    assert json.dumps(learned.figures)


def test_characters_that_the_vocabulary_lacks_come_first(sentencepiece_base: Path) -> None:
    source = open_source(sentencepiece_base)
    learned = learn(source, ["żółw też żółw też"] * 3, 30)
    assert learned.tokens[:3] == ["ż", "ó", "ł"]
    assert learned.counts[:3] == [12, 6, 6]
    assert learned.figures["characters"] == 3
    extended = Tokenizer.from_str(json.dumps(content.add(source, learned.tokens)))
    assert extended.encode("żółw").tokens == ["▁żółw"]


def test_a_character_of_the_guard_stays_bytes(sentencepiece_base: Path) -> None:
    source = open_source(sentencepiece_base)
    assert "ż" not in learn(source, ["żółw jeż"] * 3, 30, guard=["ż"]).tokens


def test_letters_and_signs_do_not_mix_without_a_pre_tokenizer(sentencepiece_base: Path) -> None:
    tokens = learn(open_source(sentencepiece_base), ["kot, pies, 1905, kot..."] * 9, 100).tokens
    assert {"▁kot", "..."} <= set(tokens)
    assert not [token for token in tokens if len(token) > 1 and any(sign in token for sign in "0159")]
    assert not [token for token in tokens if "," in token and any(letter.isalpha() for letter in token)]


def test_marks_stay_on_their_letters(source: Source, tmp_path: Path, english: list[str]) -> None:
    made = method(source, Texts(HINDI * 3), 60)
    torn = method(source, Texts(HINDI * 3), 60, join_marks=False)
    assert made.figures["marks_joined"] is True
    assert torn.figures["marks_joined"] is False
    assert torn.figures["torn_words"] == made.figures["torn_words"] > 0.3
    decoder = source.tokenizer.backend_tokenizer.decoder
    assert "हिन्दी" in [decoder.decode([token]) for token in made.new_tokens]
    before, mended, plain = (
        Tokenizer.from_str(json.dumps(found)) for found in (source.content, made.content, torn.content)
    )
    cost = [len(tokenizer.encode(" ".join(HINDI)).ids) for tokenizer in (before, plain, mended)]
    assert cost[2] < cost[1] < cost[0]
    for text in english:
        assert mended.encode(text).ids == before.encode(text).ids


def test_text_without_marks_leaves_the_split_pattern_as_it_is(source: Source, polish: list[str]) -> None:
    made = method(source, Texts(polish * 3), 10)
    assert made.figures["marks_joined"] is False
    assert made.content["pre_tokenizer"] == source.content["pre_tokenizer"]


def test_a_guarded_text_with_marks_keeps_the_split_pattern(source: Source) -> None:
    assert method(source, Texts(HINDI * 3, guard=HINDI[:1]), 10).figures["marks_joined"] is False


def test_the_families(any_base: Path) -> None:
    assert open_source(any_base).family in kind.EXTENDABLE
