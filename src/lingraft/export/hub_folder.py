"""A Hugging Face folder that other programs load: weights, configs, tokenizer and model card."""

import shutil
from pathlib import Path

WANTED = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "tokenizer.model",
)


def write(model: Path, folder: Path, card: str) -> list[str]:
    """Copy what belongs to the model into `folder`, add the card as README.md; the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = [path.name for path in model.glob("*.safetensors")] + [
        p.name for p in model.glob("*.safetensors.index.json")
    ]
    for name in (*WANTED, *weights):
        if (model / name).exists():
            shutil.copyfile(model / name, folder / name)
    (folder / "README.md").write_text(card, encoding="utf-8")
    return sorted(path.name for path in folder.iterdir())
