"""A real Llama that writes a given text, and what listens to a chat in place of a terminal."""

import shutil
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from lingraft.ask.speaker import Speaker, Writing
from lingraft.evaluate.evaluate import load

TEMPLATE = (
    "{% for m in messages %}<|bos|>{{ m.role }}: {{ m.content }}<|eos|>{% endfor %}"
    "{% if add_generation_prompt %}<|bos|>assistant<|pad|>{% endif %}"
)
EOS, PAD = 1, 2


def save_scripted(
    base: Path, folder: Path, text: str, *, positions: int = 256, template: str | None = TEMPLATE, endless: bool = False
) -> Path:
    """A model of two layers that writes `text` after a template's generation prompt, and then EOS or all again.

    Its layers add nothing, and the row of each token in the head is the embedding of the token before it: so no token
    may come twice in the text.
    """
    folder.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(base / name, folder / name)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    chain = [PAD, *tokenizer(text, add_special_tokens=False)["input_ids"], EOS]
    assert len(set(chain)) == len(chain), "a token comes twice"
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=EOS,
        pad_token_id=PAD,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        embedding.normal_()
        head.zero_()
        for before, after in pairwise(chain):
            head[after] = embedding[before]
        if endless:
            head[chain[1]] += embedding[chain[-2]]
            head[EOS] = 0
    model.save_pretrained(folder)
    if template is not None:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return folder


def speaker(folder: Path, *, context_tokens: int | None = 256, new_ids: Sequence[int] = ()) -> Speaker:
    return Speaker(folder.name, load(folder), context_tokens=context_tokens, new_ids=new_ids)


class Listener:
    """Takes every answer as it comes; `at` is called with the number of pieces so far."""

    def __init__(self, at: Callable[[int], None] = lambda _: None) -> None:
        self.tokens, self.told, self.pieces, self.ended, self._at = False, [], [], [], at

    def tell(self, text: str) -> None:
        self.told.append(text)

    def show(self, writings: Sequence[Writing], stopped: Callable[[], bool]) -> None:
        for writing in writings:
            pieces = []
            for piece in writing:
                pieces += [piece] if piece else []
                self._at(len(pieces))
                if stopped():
                    writing.stop()
            self.pieces.append(pieces)
            self.ended.append(writing.ended)
