"""Scores of answers against one forward pass a token, and a cut that holds for tokens that span it."""

import math
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

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
    monkeypatch.setattr(likelihood, "_takes_masks", lambda model: together)
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
    prefix, rest, siblings = Splitter(tokenizer, bos=True).split("da", "bd")
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
    prefix, _, siblings = Splitter(tokenizer, bos=True).split("da", "b")
    spans = score(model, tokenizer, [Question("da", ("b", "c"))], context_tokens=16)[0]
    after = logprobs(model, prefix)
    alone = (after[1] - after[list(siblings)].logsumexp(0)).exp().item()
    assert sum(math.exp(one.logprob) for one in spans) + alone == pytest.approx(1, abs=1e-5)


def test_no_token_is_cut_in_any_family(any_base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(any_base)
    splitter = Splitter(tokenizer, bos=True)
    for context, answer in [
        ("The old", " lighthouse"),
        ("The old ", "keeper"),
        ("łó", "ść"),
        ("a", "b"),
        ("The l", "ake"),
    ]:
        prefix, rest, siblings = splitter.split(context, answer)
        assert prefix[1:] + rest == tokenizer(context + answer, add_special_tokens=False)["input_ids"]
        before = tokenizer.decode(prefix[1:])
        assert context.startswith(before.strip()), before
        assert not siblings or rest[0] in siblings
