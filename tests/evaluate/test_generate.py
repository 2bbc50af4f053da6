import json
import shutil
from pathlib import Path

import pytest
import torch
from lm_eval.api.instance import Instance

from lingraft.core.errors import InputError
from lingraft.evaluate import evaluate, generate
from lingraft.evaluate.generate import Loaded, continue_prompts, speed, write_until
from lingraft.evaluate.harness import Asked

PROMPTS = ["The old lighthouse", "Nobody"]


@pytest.fixture(scope="module")
def loaded(tiny_base: Path) -> Loaded:
    """A random model whose answers are not flat: no token is near as likely as the next."""
    loaded = evaluate.load(tiny_base)
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            parameter.mul_(4)
    return loaded


def write(loaded: Loaded, prompts: list[str] = PROMPTS, **changes: float) -> list[str]:
    options = {"max_new_tokens": 12, "temperature": 1.0, "top_p": 0.95, "seed": 4} | changes
    return continue_prompts(loaded, prompts, **options)


def test_greedy_takes_the_likeliest_token(loaded: Loaded) -> None:
    tokenizer, model = loaded.tokenizer, loaded.model
    for prompt, text in zip(PROMPTS, write(loaded, temperature=0), strict=True):
        ids = list(tokenizer(prompt)["input_ids"])
        assert ids[0] == tokenizer.bos_token_id
        start = len(ids)
        while len(ids) < start + 12 and ids[-1] != tokenizer.eos_token_id:
            with torch.inference_mode():
                ids.append(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax().item())
        assert text == tokenizer.decode(ids[start:], skip_special_tokens=True)


def test_the_seed_decides_and_a_sample_does_not_depend_on_the_others(loaded: Loaded) -> None:
    texts = write(loaded)
    assert write(loaded) == texts
    assert write(loaded, PROMPTS[1:]) == texts[1:]
    assert write(loaded, seed=5) != texts
    assert write(loaded, temperature=0, seed=5) == write(loaded, temperature=0)


def test_what_a_model_is_used_to_is_not_done(tiny_base: Path, tmp_path: Path) -> None:
    """A penalty from its generation_config.json would change greedy text as well; its ends of a text are kept."""
    shutil.copytree(tiny_base, tmp_path, dirs_exist_ok=True)
    habits = {"repetition_penalty": 1.9, "no_repeat_ngram_size": 1, "eos_token_id": [1, 5], "bos_token_id": 0}
    (tmp_path / "generation_config.json").write_text(json.dumps(habits))
    plain, used_to = evaluate.load(tiny_base), evaluate.load(tmp_path)
    assert used_to.model.generation_config.eos_token_id == [1, 5]
    plain.model.generation_config.eos_token_id = [1, 5]
    options = {"max_new_tokens": 12, "context_tokens": 64}
    greedy = write(plain, temperature=0)
    assert any(len(set(text)) < len(text) for text in greedy)
    assert write(used_to, temperature=0) == greedy
    assert write_until(used_to, PROMPTS, stop=(), **options) == write_until(plain, PROMPTS, stop=(), **options)


def test_the_likeliest_alone_are_greedy(loaded: Loaded) -> None:
    options = {"stop": (), "max_new_tokens": 12, "context_tokens": 64}
    greedy = write_until(loaded, PROMPTS, **options)
    assert write_until(loaded, PROMPTS, temperature=1.0, **options) != greedy
    assert write_until(loaded, PROMPTS, temperature=1.0, top_k=1, **options) == greedy
    assert write_until(loaded, PROMPTS, temperature=1.0, top_p=1e-6, **options) == greedy


def test_what_a_task_of_the_harness_asks_for_is_done(loaded: Loaded) -> None:
    asked = Asked(loaded, context_tokens=64)

    def written(**settings: object) -> list[str]:
        kwargs = {"until": [], "max_gen_toks": 12, **settings}
        return asked.generate_until([Instance("generate_until", {}, (prompt, kwargs), 0) for prompt in PROMPTS])

    greedy, sampled = written(), {"do_sample": True, "temperature": 1.0}
    assert written(**sampled) != greedy
    assert written(**sampled, top_k=1) == greedy
    assert written(**sampled, top_p=1e-6) == greedy


def test_all_tokens_are_sampled_from(loaded: Loaded) -> None:
    """Not the 50 likeliest, which is what transformers does where nothing is said."""
    ids = torch.tensor([[loaded.tokenizer.bos_token_id]])
    with torch.inference_mode():
        ranks = loaded.model(ids).logits[0, -1].argsort(descending=True).tolist()
    hot = {"stop": (), "max_new_tokens": 1, "context_tokens": 64, "temperature": 1e6}
    texts, _ = write_until(loaded, [""] * 200, **hot)
    likeliest = {loaded.tokenizer.decode([token]) for token in ranks[:50]}
    assert len(set(texts) - likeliest) > 50


def test_a_context_with_no_room_for_a_prompt(loaded: Loaded) -> None:
    with pytest.raises(InputError, match="a context of 64 tokens leaves no room for a prompt beside 49 new ones"):
        write_until(loaded, PROMPTS, stop=(), max_new_tokens=49, context_tokens=64)
    write_until(loaded, PROMPTS, stop=(), max_new_tokens=48, context_tokens=64)


def test_writing_begins_with_a_token(tiny_base: Path) -> None:
    loaded = evaluate.load(tiny_base)
    loaded.tokenizer.bos_token = loaded.tokenizer.eos_token = None
    with pytest.raises(InputError, match="neither a BOS nor an EOS token to begin a text with"):
        write_until(loaded, [""], stop=(), max_new_tokens=4, context_tokens=64)


def test_no_prompts(loaded: Loaded) -> None:
    assert write(loaded, []) == []


def test_speed_counts_all_tokens_that_are_asked_for(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that ticks twice: where the counted tokens begin and where they end."""
    ticks = iter([10.0, 12.0])
    monkeypatch.setattr(generate.time, "perf_counter", lambda: next(ticks))
    assert speed(loaded, "Nobody", new_tokens=6) == 3
