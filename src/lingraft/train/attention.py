"""How the documents of a sequence are kept apart in attention.

`sdpa` and `eager` take a mask by which a token sees its own document alone, and compute what it hides as well. On a GPU
torch has a kernel for documents of varied length (Dao 2023, arXiv 2307.08691), which computes nothing in vain.
B sequences, H heads, S tokens, D dimensions of a head, T tokens of all sequences, N documents.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from .settings import Optimization

VARLEN, NAME = "varlen", "lingraft_varlen"
TOLERANCE = 0.03
"""Of the logits, between two orders of summation in bfloat16."""
LEAST_CAPABILITY, MOST_DIMENSIONS = (8, 0), 256
"""What the kernel needs of a GPU, and of a head."""


class Attention:
    """The way a model attends during a training: the one that the settings name, else the best there is.

    That is the kernel, where it gives the logits that the model's own way gives: not looked up but tried, on a batch.
    """

    def __init__(self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], settings: Optimization) -> None:
        self._model, self._own = model, model.config._attn_implementation
        self.way = settings.attention or self._own
        if settings.attention is not None:
            model.set_attn_implementation(settings.attention)
        elif self._own == "sdpa" and _kernel_is_here(model.device) and _kernel_takes(model, settings):
            self.way = VARLEN if self._same(batch) else self._own

    def complete(self, batch: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """The batch with what this way needs besides."""
        return with_ends(batch) if self.way == VARLEN else batch

    def undo(self) -> None:
        """The model attends as it did."""
        if self._model.config._attn_implementation != self._own:
            self._model.set_attn_implementation(self._own)

    def _same(self, batch: Mapping[str, torch.Tensor]) -> bool:
        """Whether the kernel gives the same logits; if so, the model attends by it from then on."""
        model, kind = self._model, self._model.device.type
        batch = {name: values.to(model.device) for name, values in batch.items()}
        was_training = model.training
        model.eval()  # no dropout
        with torch.no_grad(), torch.autocast(kind, torch.bfloat16):
            expected = model(**batch, use_cache=False).logits.float()
            model.set_attn_implementation(NAME)
            found = model(**with_ends(batch), use_cache=False).logits.float()
        model.train(was_training)
        same = bool((found - expected).norm() <= TOLERANCE * expected.norm())
        if not same:
            self.undo()
        return same


def with_ends(batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The batch with where documents begin and the last one ends, shape (N + 1), counted through all sequences."""
    positions_T = batch["position_ids"].reshape(-1)
    begins = (positions_T == 0).nonzero().flatten()
    ends = torch.cat([begins, begins.new_tensor([len(positions_T)])])
    return {**batch, "cu_seq_lens_q": ends.to(torch.int32)}  # the name that models hand down


def by_document(
    module: torch.nn.Module,
    query_BHSD: torch.Tensor,
    key_BHSD: torch.Tensor,
    value_BHSD: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention, shape (B, S, H, D), within documents where it is told of them, else within sequences."""
    if cu_seq_lens_q is None:
        given = (query_BHSD, key_BHSD, value_BHSD, attention_mask)
        return sdpa_attention_forward(module, *given, scaling=scaling, **rest)
    sequences, heads, tokens, _ = query_BHSD.shape
    dtype = torch.get_autocast_dtype(query_BHSD.device.type)
    flat = (given.transpose(1, 2).flatten(0, 1).to(dtype) for given in (query_BHSD, key_BHSD, value_BHSD))
    found_THD = varlen_attn(
        *flat,
        cu_seq_lens_q,
        cu_seq_lens_q,
        tokens,  # no document is longer
        tokens,
        scale=scaling,
        window_size=(-1, 0),
        enable_gqa=heads != key_BHSD.shape[1],
    )
    return found_THD.unflatten(0, (sequences, tokens)), None


def _no_mask(*, q_length: int, kv_length: int, attention_mask: torch.Tensor | None = None, **rest: Any) -> Any:
    """None where all tokens are there and there is no padding: then the kernel goes by the ends of documents."""
    if attention_mask is None and q_length == kv_length:
        return None
    return sdpa_mask(q_length=q_length, kv_length=kv_length, attention_mask=attention_mask, **rest)


AttentionInterface.register(NAME, by_document)
AttentionMaskInterface.register(NAME, _no_mask)


def _kernel_is_here(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= LEAST_CAPABILITY


def _kernel_takes(model: PreTrainedModel, settings: Optimization) -> bool:
    """Plain causal heads in bfloat16 alone: no window of the text, no dropout, none compressed, and none too large."""
    config = model.config
    window = getattr(config, "sliding_window", None)
    others = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    dimensions = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    hands_down = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(model.forward).parameters.values())
    return (
        settings.precision == "bf16"
        and hands_down
        and not others
        and (window is None or window >= settings.sequence_tokens)
        and not getattr(config, "attention_dropout", 0.0)
        and getattr(config, "kv_lora_rank", None) is None
        and dimensions <= MOST_DIMENSIONS
        and dimensions % 8 == 0
    )
