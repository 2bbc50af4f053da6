"""A model with a classification or regression head, and labeled items as it reads them.

Texts of an item are tokenized one by one and stand one after another; the head reads the last token.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
from transformers.utils import logging

from lingraft.core.errors import InputError
from lingraft.evaluate.context import start_token

from .data import LabeledItem, LabeledTask

BETWEEN = "\n\n"
"""What stands between the texts of an item."""
MOST_TOKENS = 512
HEADS = ("score.", "classifier.")
"""What the weights of a head begin with in transformers."""


def load(
    folder: Path, task: LabeledTask, *, trust_remote_code: bool = False
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model in float32 with a head of random weights in the place of the LM head, and its tokenizer.

    Raises InputError where transformers has no such head for this kind of model.
    """
    config = AutoConfig.from_pretrained(
        folder,
        num_labels=len(task.classes) or 1,
        problem_type="single_label_classification" if task.classes else "regression",
        trust_remote_code=trust_remote_code,
    )
    own = getattr(config, "auto_map", None) or {}
    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING and not (
        trust_remote_code and AutoModelForSequenceClassification.__name__ in own
    ):
        raise InputError(
            f"transformers has no classification head for models of the kind {config.model_type}.",
            where=folder,
            remedy="Leave the fine-tuned tasks out for this model.",
        )
    config.use_cache = False
    with _quietly():
        model, told = AutoModelForSequenceClassification.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=trust_remote_code,
            use_safetensors=True,
            output_loading_info=True,
        )
    if missing := sorted(name for name in told["missing_keys"] if not name.startswith(HEADS)):
        raise InputError(
            f"{len(missing)} weights of the model are not there: {', '.join(missing[:3])}.",
            where=folder,
            remedy="Give the folder of a whole model.",
        )
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=trust_remote_code)
    return model, tokenizer


def adapted(model: PreTrainedModel, rank: int, alpha: float, dropout: float) -> PeftModel:
    """The model with LoRA in every linear layer; these and the head are trained, all else is frozen."""
    config = LoraConfig(
        task_type="SEQ_CLS",
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules="all-linear",
        modules_to_save=[next(head[:-1] for head in HEADS if hasattr(model, head[:-1]))],
    )
    with warnings.catch_warnings():
        # PEFT asks transformers by a name that is going to be another one.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
        return get_peft_model(model, config)


class Encoder:
    """Items as token ids that begin with BOS (EOS where there is no BOS) and fit into a context.

    Of an item that is too long the longest of its texts loses its end, so that no text is lost whole.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, context_tokens: int) -> None:
        self._tokenizer, self._start, self._context_tokens = tokenizer, start_token(tokenizer), context_tokens

    def __call__(self, items: Sequence[LabeledItem]) -> tuple[list[list[int]], int]:
        """The ids of every item, and how many items were cut."""
        found, num_cut = [], 0
        for item in items:
            texts = [item.texts[0], *(BETWEEN + text for text in item.texts[1:])]
            parts = self._tokenizer(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
            spare = self._context_tokens - 1 - sum(map(len, parts))
            num_cut += spare < 0
            for _ in range(-spare):
                max(parts, key=len).pop()
            found.append([self._start, *(token for part in parts for token in part)])
        return found, num_cut


def context_tokens(model: PreTrainedModel, wanted: int | None, folder: Path) -> int:
    """How many tokens are read: what is wanted, or the model's positions and at most 512.

    Raises InputError where more is wanted than the model has positions.
    """
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None) or MOST_TOKENS
    if wanted is not None and wanted > positions:
        raise InputError(
            f"a context of {wanted} tokens is longer than the {positions} positions of the model.",
            where=folder,
            remedy=f"Set context_tokens to {positions} or less.",
        )
    return wanted or min(positions, MOST_TOKENS)


def set_pad(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, ids: Sequence[Sequence[int]]) -> int:
    """Have the model take a token for padding that no item ends with, and return it.

    A head reads the last token that is not padding; were it a token that can end a text, it would read another one.
    Which it is does not matter otherwise: padding stands at the right, and nothing attends to it.
    """
    last = {sequence[-1] for sequence in ids}
    rows = model.get_input_embeddings().weight.shape[0]
    wanted = [token for token in (tokenizer.pad_token_id, tokenizer.eos_token_id) if token is not None]
    pad = next(token for token in (*wanted, *range(rows)) if token < rows and token not in last)
    model.config.get_text_config().pad_token_id = pad
    return pad


def collate(rows: Sequence[Mapping[str, Any]], pad: int) -> dict[str, torch.Tensor]:
    """A batch, padded at the right: ids and mask (B, S), labels (B,)."""
    longest = max(len(row["input_ids"]) for row in rows)
    lengths = torch.tensor([len(row["input_ids"]) for row in rows])
    padded = [[*row["input_ids"], *[pad] * (longest - len(row["input_ids"]))] for row in rows]
    return {
        "input_ids": torch.tensor(padded),
        "attention_mask": (torch.arange(longest) < lengths[:, None]).long(),
        "labels": torch.tensor([row["labels"] for row in rows]),
    }


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the report that the head is new and the LM head unused."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
