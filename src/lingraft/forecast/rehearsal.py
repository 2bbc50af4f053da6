"""A training step without values: what it holds in memory and computes, told by running the code that trains.

Fake tensors have shapes and dtypes and no data, so that a model of any size runs in no memory. A model of few layers
is run at two depths; what a layer more costs holds for all the others.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from lingraft.evaluate.bits import batch_tokens
from lingraft.evaluate.places import logits_at
from lingraft.train import experts, loss, optimizers, quantize
from lingraft.train.loading import load_dtype
from lingraft.train.settings import Settings
from lingraft.train.trainable import NUM_END_LAYERS, Trainable

from .tape import Tape

ABSMAX_BLOCK, STATE_BLOCK = 64, 256
"""Weights that share a scale in nf4 (Dettmers et al. 2023, arXiv 2305.14314), and values that share one in the states
of an optimizer in 8 bits (Dettmers et al. 2021, arXiv 2110.02861)."""
NF4_BYTES = 0.5 + 1 / ABSMAX_BLOCK + 4 / (ABSMAX_BLOCK * 256)
LEAST_IN_8_BITS = 4096
"""Smaller tensors keep their states in float32, as bitsandbytes has it."""


@dataclass(frozen=True)
class Weights:
    """What stands in memory from the first step to the last, in bytes, and how many weights there are and move."""

    parameters: int
    trainable: int
    weights_bytes: float
    gradient_bytes: float
    state_bytes: float
    largest_layer: int
    """Parameters of the largest layer."""
    largest_matrix: int
    outside_layers: int
    """Parameters of embeddings, LM head and last norm."""


@dataclass(frozen=True)
class Rehearsal:
    """What one device does for a micro-batch, and the most it holds beside weights and the optimizer's state."""

    weights: Weights
    forward_bytes: float
    """Up to the end of the forward pass, the loss with it."""
    backward_bytes: tuple[float, float]
    """In the first and the second half of the backward pass, gradients with it."""
    step_bytes: float
    held_out_bytes: float
    flops: float
    """Of the forward and backward pass of a micro-batch, what is computed twice counted twice."""
    chunked: bool

    @property
    def training_bytes(self) -> float:
        """The most of a training step."""
        return max(self.forward_bytes, *self.backward_bytes, self.step_bytes)


class _EveryToken(loss.ChunkedLoss):
    """Without values no place is known to predict nothing, and all tensors say that they are a processor's."""

    def __init__(self, model: PreTrainedModel, kind: str) -> None:
        super().__init__(model)
        self.sizes = {"cpu": loss.CHUNK_LOGITS[kind]}

    def predicting(self, hidden_BSD: torch.Tensor, labels_BS: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return hidden_BSD.flatten(0, 1).clone(), labels_BS.flatten()


def rehearse(
    config: PretrainedConfig,
    settings: Settings,
    num_new: int,
    *,
    sequences: int,
    accumulated: bool,
    kind: str,
    sharded: bool = False,
) -> Rehearsal:
    """Run micro-batches of `sequences` on a device of this `kind` (cpu or cuda).

    `num_new` are the rows of new tokens, `accumulated`: whether an optimizer step has more than one micro-batch.
    `sharded`: weights are gathered in bfloat16 for the time of their layer, so that no copies of them wait for the
    way back.
    """
    case = _Case(config, settings, num_new, sequences, accumulated, kind, sharded)
    decisive = [getattr(settings, name) for name in DECISIVE]
    key = (config.to_json_string(), repr((decisive, num_new, sequences, accumulated, kind, sharded)))
    if key not in _KNOWN:
        num_layers = config.num_hidden_layers
        few = 2 * NUM_END_LAYERS + 1 if settings.train == "top_bottom" else 2
        if few < num_layers and _alike(config):
            _KNOWN[key] = _extended(*(_few_layers(case, depth) for depth in (few, few + 1)), more=num_layers - few)
        else:
            _KNOWN[key] = _few_layers(case, num_layers)
    return _KNOWN[key]


DECISIVE = (
    "train",
    "lora",
    "new_rows",
    "optimizer",
    "precision",
    "attention",
    "gradient_checkpointing",
    "max_grad_norm",
    "sequence_tokens",
)
"""Settings that memory and FLOPs of a micro-batch depend on: the cells of a study often have these alike."""


@dataclass(frozen=True)
class _Case:
    config: Any
    settings: Settings
    num_new: int
    sequences: int
    accumulated: bool
    kind: str
    sharded: bool


_KNOWN: dict[tuple[str, str], Rehearsal] = {}


def weigh(config: PretrainedConfig) -> tuple[int, int]:
    """The parameters of a model as it is stored, and their bytes."""
    model = _on_no_device(config, config.dtype or torch.float32)
    return model.num_parameters(), sum(p.numel() * p.element_size() for p in model.parameters())


def _on_no_device(config: PretrainedConfig, dtype: torch.dtype, attention: str | None = None) -> PreTrainedModel:
    config = copy.deepcopy(config)  # the dtype would be written into it
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention)


def _alike(config: PretrainedConfig) -> bool:
    """Whether all layers have as many weights."""
    layers = getattr(_on_no_device(config, torch.float32).get_decoder(), "layers", [])
    return len({sum(p.numel() for p in layer.parameters()) for layer in layers}) == 1


def _extended(less: Any, one_more: Any, more: int) -> Any:
    """Every figure of a model that has `more` layers than the first has."""
    if isinstance(less, bool):
        return less
    if isinstance(less, int | float):
        return less + more * (one_more - less)
    if isinstance(less, tuple):
        return tuple(_extended(*pair, more=more) for pair in zip(less, one_more, strict=True))
    return replace(
        less,
        **{
            field.name: _extended(getattr(less, field.name), getattr(one_more, field.name), more)
            for field in fields(less)
        },
    )


def _few_layers(case: _Case, depth: int) -> Rehearsal:
    settings, sequences = case.settings, case.sequences
    autocast = settings.precision == "bf16"
    model, trainable = _model(shortened(case.config, depth), settings, case.num_new)
    fake = FakeTensorMode()
    apart = _without_memory(model, trainable.new_rows, fake, torch.bfloat16 if case.sharded and autocast else None)
    with fake:
        if experts.routers(model):
            model.config.output_router_logits = True
        if settings.gradient_checkpointing:
            model.activation_checkpointing_enable()
        model.train()
        batch = _batch(sequences, settings.sequence_tokens)
        moving = list(trainable.named().values())
        tape = Tape()
        for tensor in (*model.parameters(), *model.buffers()):
            tape.hold(tensor)
        with tape:
            chunked = _is_chunked(model, batch)
            if chunked:
                _EveryToken(model, case.kind)
            optimizer = _optimizer(model, apart, settings)
            if optimizer is not None:
                for parameter in moving:
                    parameter.grad = torch.zeros_like(parameter)
                optimizer.step()  # the first one makes its state
                _forget(moving)
            standing = tape.live_bytes  # weights and the optimizer's state
            if case.accumulated:
                for parameter in moving:
                    parameter.grad = torch.zeros_like(parameter)
            tape.take()
            tape.flops = 0.0
            value = _forward(model, batch, autocast)
            forward = tape.take()
            value.backward()
            backward, flops = tape.take(), tape.flops
            torch.nn.utils.clip_grad_norm_(moving, settings.max_grad_norm)
            if optimizer is not None:
                optimizer.step()
            _forget(moving)
            step = tape.take()
            model.eval()
            _held_out(model, settings.sequence_tokens, autocast)
            held_out = tape.take()
        half = len(backward) // 2
        return Rehearsal(
            weights=_weights(model, moving, optimizer, settings),
            forward_bytes=max(forward) - standing,
            backward_bytes=(max(backward[:half]) - standing, max(backward[half:]) - standing),
            step_bytes=max(step) - standing,
            held_out_bytes=max(held_out) - standing,
            flops=flops,
            chunked=chunked,
        )


def _forget(parameters: Sequence[torch.nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.grad = None


def _is_chunked(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> bool:
    """What `loss.chunk` finds by trying: whether the head's output is the model's."""
    head = model.get_output_embeddings()
    if not loss.is_plain(head):
        return False
    seen: list[torch.Tensor] = []
    hook = head.register_forward_hook(lambda *found: seen.append(found[-1]))
    with torch.no_grad():
        logits = model(**batch, use_cache=False).logits
    hook.remove()
    return logits is seen[0]


def shortened(config: PretrainedConfig, depth: int) -> PretrainedConfig:
    """The same model with fewer layers."""
    short = copy.deepcopy(config)
    short.num_hidden_layers = depth
    if getattr(short, "layer_types", None):
        short.layer_types = short.layer_types[:depth]
    return short


def _model(config: PretrainedConfig, settings: Settings, num_new: int) -> tuple[PreTrainedModel, Trainable]:
    model = _on_no_device(config, load_dtype(settings, config.dtype or torch.float32), settings.attention)
    rows = model.get_input_embeddings().num_embeddings
    new_ids = range(rows - num_new, rows)
    return model, Trainable(model, settings.train, settings.lora, settings.new_rows, new_ids)


def _without_memory(
    model: PreTrainedModel, apart: Sequence[torch.Tensor], fake: FakeTensorMode, dtype: torch.dtype | None = None
) -> list[torch.nn.Parameter]:
    """Make all tensors of a model on no device seem to be a processor's; those of `apart` in their order.

    On no device autocast does nothing, and attention is another.
    """
    made: dict[int, torch.Tensor] = {}
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is None:
                    continue
                if id(tensor) not in made:
                    values = tensor.detach().to(dtype if tensor.is_floating_point() and dtype else tensor.dtype)
                    seeming = FakeTensor(fake, values.to("meta"), torch.device("cpu"))
                    is_weight = tensors is module._parameters
                    made[id(tensor)] = torch.nn.Parameter(seeming, tensor.requires_grad) if is_weight else seeming
                tensors[name] = made[id(tensor)]
    return [made[id(tensor)] for tensor in apart]


def _optimizer(
    model: PreTrainedModel, apart: Sequence[torch.nn.Parameter], settings: Settings
) -> torch.optim.Optimizer | None:
    """None for those of bitsandbytes, whose kernels ask for values."""
    if settings.optimizer in optimizers.EIGHT_BITS:
        return None
    return optimizers.make(model, apart, settings)


def _weights(
    model: PreTrainedModel,
    moving: Sequence[torch.nn.Parameter],
    optimizer: torch.optim.Optimizer | None,
    settings: Settings,
) -> Weights:
    layers = getattr(model.get_decoder(), "layers", [])
    sizes = [sum(p.numel() for p in layer.parameters()) for layer in layers]
    total = sum(p.numel() for p in model.parameters())
    return Weights(
        parameters=total,
        trainable=sum(p.numel() for p in moving),
        weights_bytes=sum(_bytes(name, p, settings) for name, p in model.named_parameters()),
        gradient_bytes=sum(p.numel() * p.element_size() for p in moving),
        state_bytes=_eight_bit_state(moving) if optimizer is None else _state(optimizer),
        largest_layer=max(sizes, default=total),
        largest_matrix=max((p.numel() for layer in layers for p in layer.parameters()), default=total),
        outside_layers=total - sum(sizes),
    )


def _bytes(name: str, parameter: torch.nn.Parameter, settings: Settings) -> float:
    if settings.train == "qlora" and quantize.is_quantized(name, parameter) and not parameter.requires_grad:
        return NF4_BYTES * parameter.numel()
    return parameter.numel() * parameter.element_size()


def _state(optimizer: torch.optim.Optimizer) -> float:
    return sum(
        value.numel() * value.element_size()
        for part in getattr(optimizer, "parts", [optimizer])
        for state in part.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    )


def _eight_bit_state(moving: Sequence[torch.nn.Parameter]) -> float:
    return sum(p.numel() * (8 if p.numel() < LEAST_IN_8_BITS else 2 + 2 * 4 / STATE_BLOCK) for p in moving)


def _batch(sequences: int, tokens: int) -> dict[str, torch.Tensor]:
    """As the data loader gives it."""
    return {key: torch.zeros(sequences, tokens, dtype=torch.long) for key in ("input_ids", "labels", "position_ids")}


def _forward(model: PreTrainedModel, batch: Mapping[str, torch.Tensor], autocast: bool) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        output = model(**batch, use_cache=False)
    whole = output.logits.float()  # as accelerate gives outputs back
    del whole
    return output.loss


def _held_out(model: PreTrainedModel, context_tokens: int, autocast: bool) -> None:
    """One batch of `bits.measure`."""
    at_once = batch_tokens(model.config.vocab_size)
    ids_BS = torch.zeros(max(1, at_once // context_tokens), context_tokens, dtype=torch.long)
    rows = [row for row in range(len(ids_BS)) for _ in range(context_tokens - 1)]
    places = list(range(context_tokens - 1)) * len(ids_BS)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        for logits_CV in logits_at(model, {"input_ids": ids_BS}, rows, places, at_once):
            whole_CV = logits_CV.float()  # as accelerate gives outputs back
            del logits_CV
            of_a_window_SV = whole_CV[: context_tokens - 1]
            predicted_S = ids_BS.new_zeros(len(of_a_window_SV))
            torch.nn.functional.cross_entropy(of_a_window_SV, predicted_S, reduction="sum")
            del whole_CV, of_a_window_SV
