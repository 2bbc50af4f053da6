"""Models of random weights with the tokenizers of real ones, so that recipes can use those without their weights.

    python benchmarks/fertility_bases.py --tokenizers FOLDER --out FOLDER [--only NAME ...]

--tokenizers holds a folder for each tokenizer (see extension.py). Each model is a Llama of one layer and 8 columns: it
says nothing, and no figure but those of its tokenizer means anything. The same tokenizer gives the same bytes.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from extension import every_tokenizer
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from lingraft.tokenizer import family

SEED = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizers", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=())
    arguments = parser.parse_args()
    for name, folder in every_tokenizer(arguments.tokenizers, tuple(arguments.only)):
        make(folder, arguments.out / name)
        print(arguments.out / name, flush=True)


def make(tokenizer: Path, folder: Path) -> None:
    """A model folder with the tokenizer.json of `tokenizer` as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(tokenizer / "tokenizer.json", folder / "tokenizer.json")
    published = Tokenizer.from_file(str(folder / "tokenizer.json"))
    config = LlamaConfig(
        vocab_size=max(published.get_vocab(with_added_tokens=True).values()) + 1,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
    )
    torch.manual_seed(SEED)
    LlamaForCausalLM(config).save_pretrained(folder)
    # Without this transformers takes the class of the model's type, which builds a tokenizer of its own.
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    opened, there = (json.loads(one.to_str()) for one in (family.open(folder).backend_tokenizer, published))
    # The post-processor puts special tokens around a text, and transformers gives every tokenizer one.
    if any(opened[part] != there[part] for part in there if part != "post_processor"):
        raise RuntimeError(f"transformers opens another tokenizer than {tokenizer} holds")


if __name__ == "__main__":
    main()
