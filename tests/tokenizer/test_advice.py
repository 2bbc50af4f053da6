import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from lingraft.core.errors import InputError
from lingraft.tokenizer import content, family, kind
from lingraft.tokenizer.advice import advise, shape
from lingraft.tokenizer.continued_bpe import learn
from lingraft.tokenizer.gain import EVIDENCE, Shape, curve, recommend
from lingraft.tokenizer.method import Learned, Source


@pytest.fixture
def source(tiny_base: Path) -> Source:
    tokenizer = family.open(tiny_base)
    parsed = json.loads((tiny_base / "tokenizer.json").read_text(encoding="utf-8"))
    return Source(tiny_base, tokenizer, kind.of(tokenizer.backend_tokenizer), parsed)


def test_every_point_is_what_the_tokenizer_of_that_size_gives(source: Source, polish: list[str]) -> None:
    held_out = [*polish[:3], "Zupełnie nowe zdanie o grzybach i jeżach."]
    learned = learn(source, polish * 3, 90, held_out=held_out)
    assert len(learned.held_out_tokens) == len(learned.tokens) + 1 == 91
    for size in (0, 1, 7, 30, 90):
        extended = Tokenizer.from_str(json.dumps(content.add(source, learned.tokens[:size])))
        ids = [extended.encode(text, add_special_tokens=False).ids for text in held_out]
        assert sum(map(len, ids)) == learned.held_out_tokens[size]


def test_the_cheapest_size_is_recommended_among_those_with_evidence() -> None:
    tokens = [f"token{at}" for at in range(6)]
    counts = [900, 500, 300, EVIDENCE, EVIDENCE - 1, 2]
    learned = Learned(tokens, counts, [1000, 800, 700, 695, 690, 400, 100], {})
    free = recommend(learned, 2000, None)
    assert free["most_supported"] == 4
    assert free["new_tokens"] == 3, "695 tokens are within 1 % of the 690 of the next size"
    assert free["flops_per_byte_change"] == pytest.approx(-0.305)
    assert recommend(learned, 2000, Shape(0, 8, 1, True))["new_tokens"] == 0, "all cost is softmax, and it doubles"


def test_points_carry_what_a_model_pays(tiny_base: Path) -> None:
    learned = Learned(["a", "b"], [5, 4], [100, 80, 50], {})
    tied, untied = shape(tiny_base), Shape(1000, 32, 400, False)
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    assert tied.body_parameters + 400 * 32 == model.num_parameters()
    assert (tied.hidden_size, tied.rows, tied.tied) == (32, 400, True)
    last = curve(learned, 200, untied)[-1]
    assert last == {
        "new_tokens": 2,
        "bytes_per_token": 4.0,
        "occurrences": 4,
        "parameters_added": 2 * 2 * 32,
        "softmax_flops_per_token": 2 * 32 * 402,
        "flops_per_byte": 2 * (1000 + 32 * 402) / 4,
    }
    assert curve(learned, 200, tied)[-1]["parameters_added"] == 2 * 32


def test_advice_holds_out_every_twentieth_text(source: Source, polish: list[str], tiny_base: Path) -> None:
    advice = advise(source, polish * 5, shape(tiny_base), most=40)
    assert advice["held_out"]["documents"] == 2
    assert advice["text"]["documents"] == 38
    assert [point["new_tokens"] for point in advice["curve"]] == [0, 40]
    assert 0 <= advice["recommended"]["new_tokens"] <= 40
    assert json.dumps(advice)


def test_too_few_texts_are_refused(source: Source) -> None:
    with pytest.raises(InputError, match=r"1 texts are too few(.|\n)*at least 20 documents"):
        advise(source, ["Jedno zdanie."], None)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no such model"}', encoding="utf-8")
    with pytest.raises(InputError, match="cannot build this model"):
        shape(tmp_path)
