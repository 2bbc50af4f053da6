"""How long a training step takes on this machine: timed, of a large model a few layers, and the others reckoned."""

import time
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig

from lingraft.train import experts, hardware, loss, optimizers
from lingraft.train.attention import Attention
from lingraft.train.loading import load_dtype
from lingraft.train.settings import Settings
from lingraft.train.trainable import NUM_END_LAYERS, Trainable

from .rehearsal import Rehearsal, shortened

SECONDS, RUNS = 0.7, 3
"""How long the longest of the timed passes should take, and how often each is run; the fastest counts."""
MOST_BYTES = 8e9
"""Of weights, gradients and optimizer state in float32; what takes more is not built to be timed."""


@dataclass(frozen=True)
class Timing:
    """Seconds of a micro-batch, forward and backward, and of what is done once for each optimizer step."""

    micro_batch: float
    step: float


def measure(
    config: PretrainedConfig, settings: Settings, num_new: int, sequences: int, known: Rehearsal
) -> Timing | None:
    """Time a micro-batch of `sequences` and an optimizer step; None where even a few layers are too large to try.

    What one layer more costs is the difference of two small times; so a model that is quick enough is timed whole.
    Adapters on 4 bits are timed as adapters on the weights as they are stored.
    """
    peak, _ = hardware.peak_flops_per_second(settings.precision)
    at_once = SECONDS * peak / 2 / (known.flops / sequences)
    depth, weights = config.num_hidden_layers, known.weights
    if at_once < 1 or 16 * weights.parameters > MOST_BYTES:
        few = 2 * NUM_END_LAYERS if settings.train == "top_bottom" else 1
        depth = max(1, min(few, depth - 1))
        largest = (depth + 1) * weights.largest_layer + weights.outside_layers
        if 16 * largest > MOST_BYTES:
            return None
        at_once *= weights.parameters / largest
    some = max(1, min(sequences, int(at_once)))
    less = _timed(config, depth, settings, num_new, some)
    rest = config.num_hidden_layers - depth
    more = _timed(config, depth + 1, settings, num_new, some) if rest else less
    return Timing(
        (less.micro_batch + rest * max(0.0, more.micro_batch - less.micro_batch)) * sequences / some,
        less.step + rest * max(0.0, more.step - less.step),
    )


def _timed(config: PretrainedConfig, depth: int, settings: Settings, num_new: int, sequences: int) -> Timing:
    dtype = load_dtype(settings, config.dtype or torch.float32)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch.random.fork_rng(), torch.device(device):
        torch.manual_seed(0)
        model: Any = AutoModelForCausalLM.from_config(shortened(config, depth), dtype=dtype)
        ids = torch.randint(model.config.vocab_size, (sequences, settings.sequence_tokens))
        positions = torch.arange(settings.sequence_tokens).expand_as(ids) % max(1, settings.sequence_tokens // 2)
    if experts.routers(model):
        model.config.output_router_logits = True
    rows = model.get_input_embeddings().num_embeddings
    trainable = Trainable(model, settings.train, settings.lora, settings.new_rows, range(rows - num_new, rows))
    autocast = settings.precision == "bf16"
    batch = {"input_ids": ids, "labels": ids, "position_ids": positions}
    attention = Attention(model, batch, settings)
    loss.chunk(model, attention.complete({name: values[:1] for name, values in batch.items()}), autocast=autocast)
    batch = attention.complete(batch)
    if settings.gradient_checkpointing:
        model.activation_checkpointing_enable()
    model.train()
    moving = list(trainable.named().values())
    optimizer = optimizers.make(model, trainable.new_rows, settings)
    micro_batch = step = float("inf")
    for _ in range(RUNS):
        began = _now(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            found = model(**batch, use_cache=False).loss
        found.backward()
        between = _now(device)
        torch.nn.utils.clip_grad_norm_(moving, settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        micro_batch, step = min(micro_batch, between - began), min(step, _now(device) - between)
    return Timing(micro_batch, step)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
