"""A base with new tokens in its tokenizer, and what strategies that look outside want."""

from pathlib import Path

import torch

from conftest import ENGLISH, POLISH, save_llama
from lingraft.graft.matching import match, spell
from lingraft.graft.strategy import INPUT, OUTPUT, Grafting
from lingraft.tokenizer import family

DICTIONARY = "the\ti\nriver\trzeki\nlake\tjezioro\nhorse\tkoń\nletter\tlist\nbread\tchleba\n"


def make_grafting(base: Path, extended: Path, dtype: torch.dtype = torch.float32, seed: int = 3) -> Grafting:
    """Random tables of the tiny base's size, the new tokens of `extended`, and text in both languages."""
    old, new = family.open(base), family.open(extended)
    fresh = match(old, new, extended).fresh
    generator = torch.Generator().manual_seed(1)
    tables = {
        side: (torch.randn(400, 32, generator=generator) * 0.3 + shift).to(dtype)
        for side, shift in ((INPUT, 0.1), (OUTPUT, -0.2))
    }
    spellings = spell(old, new, fresh)
    return Grafting(tables, list(fresh), spellings, old, new, base, POLISH * 5, ENGLISH * 5, seed)


def save_dictionary(path: Path) -> Path:
    path.write_text(DICTIONARY, encoding="utf-8")
    return path


def save_donor(folder: Path, extended: Path) -> Path:
    """An untied model of the extended tokenizer's own."""
    folder.mkdir()
    family.copy(extended, folder, ("tokenizer.json", *family.SETTINGS_FILES))
    save_llama(folder, tied=False, rows=430, seed=5)
    return folder
