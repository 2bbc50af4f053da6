"""TRL's trainers on preferences, given what we have made tokens of ourselves.

By default they would render and cut the texts anew, without telling how many they cut.
"""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainingArguments
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

from .loss import IGNORED
from .trainer import OwnTraining

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # that the two below may change is said by their pinned version
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

# TRL 1.16 asks transformers 5.23 by an old name.
warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)


class _WithReference(OwnTraining):
    """The rows have what the model said of them before: TRL would ask it of a row as often as it is shown."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset


class PairTrainer(_WithReference, DPOTrainer):
    """Trains on pairs against what the model was."""


class JudgedTrainer(_WithReference, KTOTrainer):
    """Trains on answers that were found good or bad each by itself."""


class _WithoutReference(OwnTraining):
    def tokenize_row(self, feature: Mapping[str, Any], model: Any = None) -> dict[str, Any]:
        prompt = feature["prompt_ids"]
        found = {"prompt_input_ids": prompt, "prompt_attention_mask": [1] * len(prompt)}
        for side in ("chosen", "rejected"):
            ids = [*prompt, *feature[f"{side}_ids"]]
            found |= {
                f"{side}_input_ids": ids,
                f"{side}_attention_mask": [1] * len(ids),
                f"{side}_labels": [IGNORED] * len(prompt) + ids[len(prompt) :],
            }
        return found


class OddsTrainer(_WithoutReference, ORPOTrainer):
    """Trains on the chosen answers, and on the odds of chosen against rejected."""

    def concatenated_forward(self, model: torch.nn.Module, batch: Mapping[str, Any]) -> tuple[Any, ...]:
        """TRL's, with the loss of the chosen answers alone: its own counts the tokens of their prompts too."""
        means_P, *rest = super().concatenated_forward(model, batch)
        answer_tokens_P = (batch["chosen_labels"] != IGNORED).sum(dim=1)
        rest[3] = -(means_P * answer_tokens_P).sum() / answer_tokens_P.sum()
        return (means_P, *rest)


class MarginTrainer(_WithoutReference, CPOTrainer):
    """Trains on a margin between the mean log-probabilities of chosen and rejected."""


@dataclass(frozen=True)
class Loss:
    """A loss on preferences, and the TRL trainer that has it."""

    trainer: type
    config: type[TrainingArguments]
    source: str
    options: Mapping[str, Any]
    apart: bool = False
    """Whether each answer is judged by itself."""
    reference: bool = True
    """Whether the model is held near to what it was."""


LOSSES = {
    "dpo": Loss(
        PairTrainer, DPOConfig, "Rafailov et al. 2023, arXiv 2305.18290, equation 7", {"loss_type": ["sigmoid"]}
    ),
    "ipo": Loss(PairTrainer, DPOConfig, "Azar et al. 2023, arXiv 2310.12036, equation 17", {"loss_type": ["ipo"]}),
    "kto": Loss(JudgedTrainer, KTOConfig, "Ethayarajh et al. 2024, arXiv 2402.01306, equation 8", {}, apart=True),
    "orpo": Loss(OddsTrainer, ORPOConfig, "Hong et al. 2024, arXiv 2403.07691, equation 6", {}, reference=False),
    "simpo": Loss(
        MarginTrainer,
        CPOConfig,
        "Meng et al. 2024, arXiv 2405.14734, equation 6",
        {"loss_type": "simpo", "cpo_alpha": 0.0},
        reference=False,
    ),
}
