"""Scores of answers against one forward pass a token, and a cut that holds for tokens that span it."""

import math
from array import array
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BloomConfig,
    FalconConfig,
    Gemma3Config,
    Gemma3TextConfig,
    GPTNeoConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MptConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    RwkvConfig,
)

from lingraft.core.errors import InputError
from lingraft.evaluate import likelihood
from lingraft.evaluate.likelihood import Question, Splitter, score

QUESTIONS = [
    Question("The market opened at six, and by seven the best bread was", (" gone.", " always late for dinner.", " x")),
    Question("Question: who? ", ("He repaired clocks.", "They argued.")),
    Question("", ("A narrow path.", "Snails.")),
    Question("The lake", (" has no name", " has a name on any map")),
]


def loud(model: LlamaForCausalLM) -> LlamaForCausalLM:
    """Weights large enough that what stands far before a token matters."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return model.eval()


def split(tokenizer: PreTrainedTokenizerFast, context: str, answer: str) -> tuple[list[int], list[int], list[int]]:
    (found,) = Splitter(tokenizer, bos=True).split([(context, answer)])
    return tuple(map(list, found))


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> LlamaForCausalLM:
    return loud(AutoModelForCausalLM.from_pretrained(tiny_base))


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(tiny_base)


@torch.inference_mode()
def logprobs(model: LlamaForCausalLM, ids: list[int]) -> torch.Tensor:
    """Of the next token."""
    return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].double().log_softmax(-1)


def slowly(model: LlamaForCausalLM, prefix: list[int], rest: list[int]) -> tuple[float, bool]:
    total, greedy = 0.0, True
    for place, token in enumerate(rest):
        found = logprobs(model, prefix + rest[:place])
        total += found[token].item()
        greedy &= found.argmax().item() == token
    return total, greedy


@pytest.mark.parametrize("together", [True, False])
def test_scores_are_those_of_one_token_at_a_time(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likelihood, "_takes_masks", lambda model, rows: together)
    monkeypatch.setattr(likelihood, "BATCH_TOKENS", 70)  # several batches
    found = score(model, tokenizer, QUESTIONS, context_tokens=64)
    for question, scores in zip(QUESTIONS, found, strict=True):
        context = question.context.rstrip(" ")
        spaces = question.context[len(context) :]
        for answer, ours in zip(question.answers, scores, strict=True):
            start = tokenizer(context, add_special_tokens=False)["input_ids"]
            whole = tokenizer(context + spaces + answer, add_special_tokens=False)["input_ids"]
            assert whole[: len(start)] == start
            logprob, greedy = slowly(model, [tokenizer.bos_token_id, *start], whole[len(start) :])
            assert ours.logprob == pytest.approx(logprob, abs=1e-4)
            assert ours.is_greedy is greedy
            assert ours.bytes == len(answer.encode())
            assert ours.cut_tokens == 0


V = 64
SMALL = {"vocab_size": V, "hidden_size": 32, "num_attention_heads": 2}
LAYERS = {"num_hidden_layers": 2}


def gemma_that_sees_images() -> PretrainedConfig:
    text = Gemma3TextConfig(
        **SMALL,
        **LAYERS,
        intermediate_size=64,
        num_key_value_heads=1,
        head_dim=16,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention"],
    )
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    return Gemma3Config(text_config=text, vision_config={**sizes, "image_size": 28, "patch_size": 14})


FAMILIES = {
    "llama": (lambda: LlamaConfig(**SMALL, **LAYERS, intermediate_size=64), True),
    "gemma": (gemma_that_sees_images, False),
    "windows": (
        lambda: GPTNeoConfig(
            vocab_size=V,
            hidden_size=32,
            num_layers=2,
            num_heads=2,
            intermediate_size=64,
            attention_types=[[["global", "local"], 1]],
            window_size=8,
        ),
        False,
    ),
    "distances": (lambda: BloomConfig(vocab_size=V, hidden_size=32, n_layer=2, n_head=2), False),
    "no positions": (lambda: MptConfig(vocab_size=V, d_model=32, n_layers=2, n_heads=2, max_seq_len=128), False),
    "falcon": (lambda: FalconConfig(**SMALL, **LAYERS, alibi=True), False),
    "state": (lambda: RwkvConfig(vocab_size=V, hidden_size=32, num_hidden_layers=2, attention_hidden_size=32), False),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_that_would_see_each_other_are_kept_apart(
    family: str, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, together = FAMILIES[family]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(make()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.2)
    batches = []
    plain = likelihood._batches
    monkeypatch.setattr(likelihood, "_batches", lambda rows, **_: [batches.append(rows), *plain(rows, V)][1:])
    splits = [
        ([1, *(7 * place % V for place in range(40))], [number + 3, 5 * number + 4, 9, 2 * number + 1])
        for number in range(3)
    ]
    monkeypatch.setattr(
        Splitter, "split", lambda self, pairs: ((array("i", prefix), array("i", rest), ()) for prefix, rest in splits)
    )
    (found,) = score(model, tokenizer, [Question("context", ("one", "two", "three"))], context_tokens=64)
    assert [one.logprob for one in found] == pytest.approx([slowly(model, *one)[0] for one in splits], abs=1e-3)
    assert len(batches[0]) == (1 if together else 3)


def test_what_the_model_would_write_itself_is_greedy(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> None:
    ids = tokenizer("The old lighthouse", return_tensors="pt")["input_ids"]
    written = model.generate(ids, max_new_tokens=3, do_sample=False)[0, ids.shape[1] :]
    answer = tokenizer.decode(written)
    if tokenizer(f"The old lighthouse{answer}")["input_ids"] == [*ids[0].tolist(), *written.tolist()]:
        assert score(model, tokenizer, [Question("The old lighthouse", (answer,))], context_tokens=64)[0][0].is_greedy


def test_a_long_context_is_cut_at_its_beginning(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    text = "Nobody in the village remembered who had planted the pear trees along the river"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    rest = tokenizer(" again.", add_special_tokens=False)["input_ids"]
    (found,) = score(model, tokenizer, [Question(text, (" again.",))], context_tokens=12)[0]
    assert found.cut_tokens == 1 + len(ids) - (13 - len(rest))
    assert found.logprob == pytest.approx(slowly(model, ids[-(13 - len(rest)) :], rest)[0], abs=1e-4)
    with pytest.raises(InputError, match=r"an answer has \d+ tokens, more than the 2 of the context"):
        score(model, tokenizer, [Question(text, (" again and again.",))], context_tokens=2)


def test_an_empty_answer_is_told(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InputError, match=r"an answer is empty"):
        score(model, tokenizer, [Question("Who?", ("He", ""))], context_tokens=12)


@pytest.fixture(scope="module")
def spanning() -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """Letters of a script without spaces, and tokens of two: `ab` and `ac` may end a context and begin an answer."""
    vocabulary = {token: number for number, token in enumerate(["<s>", *"abcd", "ab", "ac", "cd"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("a", "b"), ("a", "c"), ("c", "d")]))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("\n", "isolated")
    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    return loud(LlamaForCausalLM(LlamaConfig(vocab_size=8, **sizes))), PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>"
    )


def test_a_token_that_spans_counts_by_its_share(spanning: tuple[LlamaForCausalLM, PreTrainedTokenizerFast]) -> None:
    model, tokenizer = spanning
    prefix, rest, siblings = split(tokenizer, "da", "bd")
    names = tokenizer.convert_ids_to_tokens
    assert (names(prefix), names(rest), names(siblings)) == (["<s>", "d"], ["ab", "d"], ["a", "ab", "ac"])
    found = score(model, tokenizer, [Question("da", ("bd", "c", "d"))], context_tokens=16)[0]
    after = logprobs(model, prefix)
    share = after - after[list(siblings)].logsumexp(0)
    last = logprobs(model, [*prefix, rest[0]])[rest[1]]
    assert found[0].logprob == pytest.approx((share[rest[0]] + last).item(), abs=1e-4)
    assert found[1].logprob == pytest.approx(share[tokenizer.convert_tokens_to_ids("ac")].item(), abs=1e-4)
    # `d` does not merge with the context, whose own tokens it follows.
    whole = tokenizer("da", add_special_tokens=False)["input_ids"]
    assert found[2].logprob == pytest.approx(slowly(model, [0, *whole], [4])[0], abs=1e-4)


def test_what_can_follow_a_spanned_context_sums_to_one(
    spanning: tuple[LlamaForCausalLM, PreTrainedTokenizerFast],
) -> None:
    """Of the tokens that begin with `a`, two bring a letter of the answer with them and one does not."""
    model, tokenizer = spanning
    prefix, _, siblings = split(tokenizer, "da", "b")
    spans = score(model, tokenizer, [Question("da", ("b", "c"))], context_tokens=16)[0]
    after = logprobs(model, prefix)
    alone = (after[1] - after[list(siblings)].logsumexp(0)).exp().item()
    assert sum(math.exp(one.logprob) for one in spans) + alone == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("trim", [True, False])
def test_a_token_of_bytes_shares_what_is_before_the_answer(trim: bool) -> None:
    """Where offsets are trimmed they leave out the space in front; a token may end inside a letter."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: number for number, piece in enumerate(["<s>", *alphabet])}
    merges = []
    for piece in ("Ġbarbaz", "Ġbad", "Ġbasic", "barÅ"):  # Å is the first byte of ż
        for end in range(2, len(piece) + 1):
            if piece[:end] not in vocabulary:
                vocabulary[piece[:end]] = len(vocabulary)
                merges.append((piece[: end - 1], piece[end - 1]))
    backend = Tokenizer(models.BPE(vocabulary, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.ByteLevel(trim_offsets=trim)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>")

    def pieces(context: str, answer: str) -> tuple[list[str], set[str]]:
        _, rest, siblings = split(tokenizer, context, answer)
        return tokenizer.convert_ids_to_tokens(rest), set(tokenizer.convert_ids_to_tokens(siblings))

    assert pieces("foo bar", "baz") == (["Ġbarbaz"], {"Ġbar", "Ġbarb", "Ġbarba", "Ġbarbaz"})
    assert pieces("foo ba", "d!") == (
        ["Ġbad", "!"],
        {piece for piece in vocabulary if piece.startswith("Ġba")},
    )
    assert pieces("bar", "ż") == (["barÅ", "¼"], {"bar", "barÅ"})
    assert pieces("foo", "  bar") == (["Ġ", "Ġbar"], set())
    assert pieces("foo ", "bar") == (["Ġbar"], set())
    assert pieces("foo", " ") == (["Ġ"], set())


def test_a_prefix_is_held_once(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = []
    monkeypatch.setattr(likelihood, "_takes_masks", lambda model, found: rows.extend(found) or False)
    monkeypatch.setattr(likelihood, "BATCH_TEXTS", 2)
    score(model, tokenizer, [Question("The lake", (" has", " had", " is")), *QUESTIONS], context_tokens=64)
    assert len(rows) == 1 + len(QUESTIONS)
    assert all(answer.prefix is row.prefix for row in rows for answer in row.answers)


def test_no_token_is_cut_in_any_family(any_base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(any_base)
    for context, answer in [
        ("The old", " lighthouse"),
        ("The old ", "keeper"),
        ("łó", "ść"),
        ("a", "b"),
        ("The l", "ake"),
    ]:
        prefix, rest, siblings = split(tokenizer, context, answer)
        assert [*prefix[1:], *rest] == tokenizer(context + answer, add_special_tokens=False)["input_ids"]
        before = tokenizer.decode(prefix[1:])
        assert context.startswith(before.strip()), before
        assert not siblings or rest[0] in siblings
