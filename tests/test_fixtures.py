from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer


def test_the_tiny_bases_are_real_models(tiny_base: Path, tiny_untied_base: Path) -> None:
    for folder in (tiny_base, tiny_untied_base):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder)
        ids = tokenizer("Hello", return_tensors="pt")
        assert model(**ids).logits.shape[-1] >= len(tokenizer)
        assert ids["input_ids"][0, 0] == tokenizer.bos_token_id
