"""What a strategy may look at when it gives new tokens their rows.

V rows of the old tokenizer, N new rows, D columns.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from lingraft.core.progress import SILENT, Progress

INPUT, OUTPUT = "input", "output"


@dataclass(frozen=True)
class Grafting:
    """One call: the tables to give rows to, and everything known about the new tokens.

    A strategy is `rows(grafting, *, options...) -> {side: rows (N, D)}`, a result for each of `tables`, in its dtype;
    row n belongs to `new_ids[n]`.
    """

    tables: Mapping[str, torch.Tensor]
    """The old rows (V, D) by side: "input", "output" or both; a tied table is "input" alone."""
    new_ids: Sequence[int]
    spellings: Sequence[Sequence[int]]
    """The old ids that spell each new token; never empty."""
    old: PreTrainedTokenizerFast
    new: PreTrainedTokenizerFast
    base: Path
    text: Iterable[str] = ()
    """Target training text, to be read any number of times."""
    replay: Iterable[str] = ()
    """Text in the languages that the base knows, to be read any number of times."""
    seed: int = 0
    trust_remote_code: bool = False
    progress: Progress = SILENT
    figures: dict[str, Any] = field(default_factory=dict)
    """What a strategy wants recorded of this call; `random` is the number of rows it had to draw."""
