"""A Hugging Face folder that other programs load: weights, configs, tokenizer and model card."""

from pathlib import Path

from lingraft.tokenizer import family

WANTED = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "*.py",
    *family.SETTINGS_FILES,
    "tokenizer.model",
    "*.safetensors",
    "*.safetensors.index.json",
)


def write(model: Path, folder: Path, card: str) -> list[str]:
    """Copy what belongs to the model into `folder`, add the card as README.md; the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    family.copy(model, folder, WANTED)
    (folder / "README.md").write_text(card, encoding="utf-8")
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
