"""Cross-entropy over a large vocabulary without ever holding all its logits.

T tokens, C of them at once, V rows of the LM head, D columns.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional
from torch.nn.utils.parametrize import is_parametrized
from transformers import PreTrainedModel

IGNORED = -100
# So many logits at once: a processor wants them in its cache, a GPU and a compiler want large products.
CHUNK_LOGITS = {"cpu": 1 << 22, "cuda": 1 << 27}
COMPILED_CHUNK_LOGITS = {"cpu": 1 << 26, "cuda": 1 << 27}
# Between two orders of summation in bfloat16.
TOLERANCE = 5e-3

LossOfLogits = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def cross_entropy(logits_CV: torch.Tensor, labels_C: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The sum over the labels, in float32, and its gradient (C, V) in the dtype of the logits."""
    logprobs_CV = logits_CV.log_softmax(dim=1, dtype=torch.float32)
    loss = -logprobs_CV.gather(1, labels_C[:, None]).sum()
    grad_CV = logprobs_CV.exp_()
    if torch.compiler.is_compiling():  # a comparison is fused with all the rest, a scatter is not
        is_label_CV = torch.arange(grad_CV.shape[1], device=grad_CV.device) == labels_C[:, None]
        grad_CV = grad_CV - is_label_CV.to(grad_CV.dtype)
    else:
        grad_CV.scatter_add_(1, labels_C[:, None], grad_CV.new_full((len(labels_C), 1), -1.0))
    return loss, grad_CV.to(logits_CV.dtype)


class ChunkedCrossEntropy(torch.autograd.Function):
    """The summed cross-entropy of labels (T) under the logits hidden (T, D) @ head (V, D)', with its gradients.

    Both gradients are made in the forward pass, chunk by chunk: the same products as one after the other, and no
    logits are kept for the way back.
    """

    @staticmethod
    def forward(
        context: Any,
        hidden_TD: torch.Tensor,
        head_VD: torch.Tensor,
        labels_T: torch.Tensor,
        dtype: torch.dtype,
        chunk: int,
        of_logits: LossOfLogits,
    ) -> torch.Tensor:
        used_VD = head_VD.to(dtype)
        loss = hidden_TD.new_zeros((), dtype=torch.float32)
        hidden_grad_TD = torch.empty_like(hidden_TD)
        head_grad_VD = torch.zeros_like(head_VD, dtype=torch.float32) if context.needs_input_grad[1] else None
        for first in range(0, len(hidden_TD), chunk):
            here = slice(first, first + chunk)
            used_CD = hidden_TD[here].to(dtype)
            chunk_loss, grad_CV = of_logits(used_CD @ used_VD.T, labels_T[here])
            loss += chunk_loss
            hidden_grad_TD[here] = grad_CV @ used_VD
            if head_grad_VD is not None:
                head_grad_VD += grad_CV.T @ used_CD
        context.save_for_backward(hidden_grad_TD, head_grad_VD)
        context.head_dtype = head_VD.dtype
        return loss

    @staticmethod
    def backward(context: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden_grad_TD, head_grad_VD = context.saved_tensors
        head_grad_VD = None if head_grad_VD is None else head_grad_VD.mul_(upstream).to(context.head_dtype)
        return hidden_grad_TD.mul_(upstream), head_grad_VD, None, None, None, None


class ChunkedLoss:
    """Has a model compute its own loss by chunks: in training its LM head passes on what it is given.

    So everything around stays as it was: autocast, gradient synchronization, losses of routers.
    """

    def __init__(self, model: PreTrainedModel, *, compiled: bool = False) -> None:
        self._model, self._head = model, model.get_output_embeddings()
        self.sizes = COMPILED_CHUNK_LOGITS if compiled else CHUNK_LOGITS
        self._of_logits = torch.compile(cross_entropy, dynamic=True) if compiled else cross_entropy
        self._whole, self._loss_function = self._head.forward, model.loss_function
        self._head.forward, model.loss_function = self._pass_on, self._loss

    def undo(self) -> None:
        """The model is as it was."""
        del self._head.forward
        self._model.loss_function = self._loss_function

    def _pass_on(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden if self._head.training else self._whole(hidden)

    @torch.compiler.disable  # the number of labels changes from batch to batch
    def _loss(
        self,
        logits: torch.Tensor,
        labels: torch.Tensor,
        vocab_size: int,
        num_items_in_batch: torch.Tensor | int | None = None,
        **rest: Any,
    ) -> torch.Tensor:
        if not self._head.training:
            return self._loss_function(logits, labels, vocab_size, num_items_in_batch=num_items_in_batch, **rest)
        hidden_TD, labels_T = self.predicting(logits, functional.pad(labels[:, 1:], (0, 1), value=IGNORED))
        kind = logits.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else logits.dtype
        head_VD = self._head.weight
        chunk = max(1, self.sizes.get(kind, 1 << 24) // len(head_VD))
        loss = ChunkedCrossEntropy.apply(hidden_TD, head_VD, labels_T, dtype, chunk, self._of_logits)
        return loss / (len(labels_T) if num_items_in_batch is None else num_items_in_batch)

    def predicting(self, hidden_BSD: torch.Tensor, labels_BS: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The places that predict a token, and which one it is."""
        predicted_BS = labels_BS != IGNORED
        return hidden_BSD[predicted_BS], labels_BS[predicted_BS]


def is_plain(head: torch.nn.Module) -> bool:
    """Whether a head is a product with its weight alone: adapters in it, for one, are not in its weight."""
    plain = type(head) is torch.nn.Linear or (isinstance(head, torch.nn.Linear) and is_parametrized(head))
    return plain and head.bias is None


def chunk(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], *, autocast: bool, compiled: bool = False
) -> ChunkedLoss | None:
    """The loss of this model by chunks, or None where it is more than a linear head and cross-entropy.

    That is not looked up but tried, on a batch: some models scale or cap their logits.
    """
    head = model.get_output_embeddings()
    if not is_plain(head):
        return None
    was_training = model.training
    model.eval()  # no dropout
    device = next(model.parameters()).device
    batch, kind = {name: tensor.to(device) for name, tensor in batch.items()}, device.type
    seen: list[torch.Tensor] = []
    hook = head.register_forward_hook(lambda *found: seen.append(found[-1]))
    with torch.no_grad(), torch.autocast(kind, torch.bfloat16, enabled=autocast):
        own = model(**batch, use_cache=False)
        hook.remove()
        chunked = ChunkedLoss(model, compiled=compiled)
        head.train()
        found = model(**batch, use_cache=False).loss.item()
    model.train(was_training)
    untouched = torch.equal(own.logits.float(), seen[0].float())
    if untouched and math.isclose(own.loss.item(), found, rel_tol=TOLERANCE):
        return chunked
    chunked.undo()
    return None
