"""The chat vector: what instruction tuning changed in a base, added to the same base adapted to a language.

Huang et al. 2023, Chat Vector (arXiv 2310.04799, equations 3 and 4): adapted + weight * (instruct - base). Adding and
scaling such differences is task arithmetic (Ilharco et al. 2022, arXiv 2212.04089).

V rows of a table, D columns.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress
from lingraft.tokenizer import family

from . import assistant, checkpoint
from .checkpoint import Checkpoint
from .configs import differences
from .matching import Matching, match
from .surgery import CARRIED_OVER
from .tables import Tables, find

PART_ELEMENTS = 1 << 20
"""Numbers of each model that are in memory at once; the tables of base and instruct are there whole."""
FLOATS = ("F32", "BF16", "F16")
NO_WEIGHT = re.compile(r"rotary_emb\.inv_freq$|\.attn\.(masked_)?bias$")
"""What older files hold beside weights: positions and masks, the same in every model."""
SIDES = ("input", "output", "bias")
MOST_TOLD = 5


@dataclass(frozen=True)
class Model:
    """A model folder as far as it is looked into."""

    folder: Path
    weights: Checkpoint
    tables: Tables
    config: Any

    @classmethod
    def open(cls, folder: Path, trust_remote_code: bool) -> "Model":
        weights = checkpoint.open(folder)
        tables = find(folder, weights, trust_remote_code=trust_remote_code)
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=trust_remote_code)
        return cls(folder, weights, tables, config)

    def named(self, name: str) -> str | None:
        """What a tensor is called here: its name may have the prefix of the base model or not."""
        bare = name.partition(".")[2]
        alike = [other for other in (name, bare) if other in self.weights.files]
        alike += [other for other in self.weights.files if other.partition(".")[2] == name]
        return alike[0] if alike else None

    def shape(self, name: str) -> list[int]:
        return self._entry(name)["shape"]

    def check_float(self, name: str) -> None:
        stored = self._entry(name)["dtype"]
        if stored not in FLOATS:
            raise InputError(
                f"{name} is stored as {stored}: it is quantized.",
                where=self.folder,
                remedy="Take the model as it was before quantization.",
            )

    def _entry(self, name: str) -> dict[str, Any]:
        return self.weights.shards[self.weights.files[name]].tensors[name]


@dataclass
class Sums:
    """What is needed for the lengths of two differences from the base, and the angle between them."""

    chat: float = 0.0
    language: float = 0.0
    product: float = 0.0

    def figures(self) -> dict[str, float | None]:
        both = sqrt(self.chat * self.language)
        return {
            "chat_vector_norm": sqrt(self.chat),
            "language_vector_norm": sqrt(self.language),
            "cosine": self.product / both if both else None,
        }


@dataclass(frozen=True)
class Rows:
    """The ids whose token all three tokenizers have, under their id in each."""

    adapted: torch.Tensor
    base: torch.Tensor
    instruct: torch.Tensor


def add(
    adapted: Path,
    base: Path,
    instruct: Path,
    folder: Path,
    *,
    weight: float = 1.0,
    trusted: Collection[Path] = (),
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Write adapted + weight * (instruct - base) to `folder` as a whole Hugging Face folder; its figures.

    Computed in float32 and stored in the types of the adapted model. Rows of embedding and LM head take the difference
    of their own token, wherever its id is; those of tokens that base or instruct have not stay as they are. Chat
    template, ends of an answer and special tokens are those of the instruct model. The code of models in `trusted` may
    be run. `cosine` is that of the angle between what instruction tuning changed and what the adaptation did, over all
    weights the three share.
    Raises InputError when the three are not of one architecture, a weight is missing, quantized or grows beyond its
    type, or the adapted tokenizer lacks a token that the chat template or the end of an answer needs.
    """
    ours, before, tuned = (Model.open(path, path in trusted) for path in (adapted, base, instruct))
    for other, what in ((ours, "adapted"), (tuned, "instruct")):
        check_architecture(before.config, other.config, what, other.folder)
    tokenizers = [family.open(path) for path in (adapted, base, instruct)]
    from_base, from_instruct = (match(other, tokenizers[0], adapted) for other in tokenizers[1:])
    settings = assistant.read(instruct, tokenizers[2], tokenizers[0], from_instruct, adapted)
    rows = _shared(from_base, from_instruct, (ours.tables.rows, before.tables.rows, tuned.tables.rows))
    pairs = _pairs(ours, before, tuned)
    sums = Sums()

    def made(name: str) -> Iterator[torch.Tensor] | None:
        if name not in pairs:
            return None
        if name in by_token:
            return _moved_rows(name, *pairs[name], (ours, before, tuned), rows, weight, sums)
        return _moved(name, *pairs[name], (ours, before, tuned), weight, sums)

    by_token = {name for side in SIDES for name in getattr(ours.tables, side)}
    folder.mkdir(parents=True, exist_ok=True)
    ours.weights.rewrite(folder, made, progress=progress)
    family.copy(adapted, folder, (*CARRIED_OVER, "config.json", "generation_config.json"))
    family.copy(adapted, folder, ("tokenizer.json", "tokenizer.model", *family.SETTINGS_FILES))
    assistant.write(settings, folder)
    return {
        "weight": weight,
        "tensors_moved": len(pairs),
        "tensors_kept": len(ours.weights.files) - len(pairs),
        "rows_moved": len(rows.adapted),
        "rows_kept": ours.tables.rows - len(rows.adapted),
        **sums.figures(),
        **settings.figures(),
    }


def check_architecture(base: Any, other: Any, what: str, where: Path) -> None:
    """Raises InputError when the configs of base and another model are not of one architecture."""
    found = differences(base, other)
    if not found:
        return
    told = [f"{key} is {theirs!r} and in the base {ours!r}" for key, (ours, theirs) in list(found.items())[:MOST_TOLD]]
    more = f", and {len(found) - MOST_TOLD} more" if len(found) > MOST_TOLD else ""
    raise InputError(
        f"the {what} model is not made from this base: {', '.join(told)}{more}.",
        where=where / "config.json",
        remedy="A chat vector needs the very base that both the instruct and the adapted model were trained from.",
    )


def _shared(from_base: Matching, from_instruct: Matching, num_rows: tuple[int, int, int]) -> Rows:
    """The rows that move. Padding, which has no token, is the same row everywhere as long as no id moved."""
    ids = {index: (old, from_instruct.copied.get(index)) for index, old in from_base.copied.items()}
    if from_base.in_place and from_instruct.in_place:
        first = max(from_base.num_new, from_base.num_old, from_instruct.num_old)
        ids |= {index: (index, index) for index in range(first, min(num_rows))}
    shared = [(index, *others) for index, others in sorted(ids.items()) if others[1] is not None]
    return Rows(*torch.tensor(shared, dtype=torch.long).reshape(-1, 3).T)


def _pairs(ours: Model, before: Model, tuned: Model) -> dict[str, tuple[str, str]]:
    """By each tensor of the adapted model that moves, its names in base and instruct."""
    tables = {name: side for side in SIDES for name in getattr(ours.tables, side)}
    pairs = {}
    for name in ours.weights.files:
        if NO_WEIGHT.search(name):
            continue
        ours.check_float(name)
        pairs[name] = tuple(_partner(name, tables.get(name), ours, other) for other in (before, tuned))
    return pairs


def _partner(name: str, side: str | None, ours: Model, other: Model) -> str:
    """What a tensor of the adapted model is called in another; `side` says which table it is, if any."""
    found = other.named(name) if side is None else _table(other, side)
    if found is None:
        raise InputError(
            f"the weights have no {name}, which the adapted model has.",
            where=other.folder,
            remedy="Take the base and the instruct model that the adapted one stems from, downloaded whole.",
        )
    if other.shape(found)[side is not None :] != ours.shape(name)[side is not None :]:
        raise InputError(
            f"{found} is of shape {other.shape(found)}, and in the adapted model of {ours.shape(name)}.",
            where=other.folder,
            remedy="Take the base and the instruct model that the adapted one stems from.",
        )
    other.check_float(found)
    return found


def _table(model: Model, side: str) -> str | None:
    """The name of a table; the LM head of a tied model is its embedding."""
    names = getattr(model.tables, side) or (model.tables.input if side == "output" else ())
    return names[0] if names else None


def _moved(
    name: str, base: str, instruct: str, models: tuple[Model, Model, Model], weight: float, sums: Sums
) -> Iterator[torch.Tensor]:
    """A tensor that every model has in the same shape."""
    names = (name, base, instruct)
    parts = [model.weights.parts(own, PART_ELEMENTS) for model, own in zip(models, names, strict=True)]
    for ours, before, tuned in zip(*parts, strict=True):
        yield _sum(name, ours, before, tuned, weight, sums)


def _moved_rows(
    name: str, base: str, instruct: str, models: tuple[Model, Model, Model], rows: Rows, weight: float, sums: Sums
) -> Iterator[torch.Tensor]:
    """A table, its rows found by their tokens."""
    ours, *others = models
    base_VD, instruct_VD = (model.weights.load(own) for model, own in zip(others, (base, instruct), strict=True))
    first = 0
    for part in ours.weights.parts(name, PART_ELEMENTS):
        inside = (rows.adapted >= first) & (rows.adapted < first + len(part))
        at = rows.adapted[inside] - first
        first += len(part)
        made = part.clone()
        taken = base_VD[rows.base[inside]], instruct_VD[rows.instruct[inside]]
        made[at] = _sum(name, part[at], *taken, weight, sums)
        yield made


def _sum(
    name: str, ours: torch.Tensor, before: torch.Tensor, tuned: torch.Tensor, weight: float, sums: Sums
) -> torch.Tensor:
    stored = ours.dtype
    ours, before, tuned = ours.float(), before.float(), tuned.float()
    chat, language = tuned - before, ours - before
    sums.chat += _dot(chat, chat)
    sums.language += _dot(language, language)
    sums.product += _dot(chat, language)
    # What the adaptation did not move ends on the instruct model itself at weight 1; a sum would be a rounding off it.
    made = torch.where(ours == before, torch.lerp(before, tuned, weight), ours + weight * chat)
    largest = torch.finfo(stored).max
    if made.numel() and not all(-largest <= end <= largest for end in made.aminmax()):
        raise InputError(
            f"{name} would have numbers that {str(stored).removeprefix('torch.')} cannot hold.",
            where="weight",
            remedy=f"Lower the weight, which is {weight:g}.",
        )
    return made.to(stored)


def _dot(one: torch.Tensor, other: torch.Tensor) -> float:
    return torch.dot(one.reshape(-1), other.reshape(-1)).item()
