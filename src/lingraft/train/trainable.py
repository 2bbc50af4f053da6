"""Which weights move, and the proof that they did and no others."""

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from lingraft.core.errors import InputError, StageError

from . import experts, new_rows, sharding
from .processes import total
from .settings import ALL_LINEAR, Lora, NewRows

NUM_END_LAYERS = 2
ADAPTER = "default"
TABLES = {"full": "full", "embeddings": "full", "top_bottom": "full", "rows": "new"}
"""What moves of embeddings and LM head; adapters have a setting for it."""


class Trainable:
    """The weights of a model that a training moves, in float32; the others are frozen, in the dtype they have.

    `train` is one of: `full`; `lora` and `qlora`, adapters on linear layers and experts; `rows`, the rows of new
    tokens; `embeddings`, the whole tables; `top_bottom`, the tables and two layers at each end.
    Raises InputError where only new rows are to move and there are none, or the model has no layers of that kind.
    """

    def __init__(self, model: PreTrainedModel, train: str, lora: Lora, own: NewRows, new_ids: Sequence[int]) -> None:
        self.model, self.adapters, self.adapted_experts = model, None, []
        adapted = train in ("lora", "qlora")
        tables = lora.tables if adapted else TABLES[train]
        if tables == "new" and not new_ids and train == "rows":
            raise InputError(
                "there are no new rows to train.",
                remedy="Put a tokenizer stage that adds tokens and a graft before, or set train to embeddings.",
            )
        model.requires_grad_(train == "full")
        if adapted:
            self.adapters, self.adapted_experts = _adapt(model, lora)
        if train == "top_bottom":
            _end_layers(model).requires_grad_(True)
        for table in new_rows.tables_of(model):
            table.requires_grad_(tables == "full")
        for router in experts.routers(model) if adapted and lora.router else ():
            router.requires_grad_(True)
        self.in_float32()
        separate = bool(new_ids) and (tables == "new" or (tables == "full" and own.own))
        self._separate = new_rows.part(model, new_ids) if separate else []
        self._start: dict[str, int] = {}

    @property
    def new_rows(self) -> list[torch.nn.Parameter]:
        """The rows of new tokens where they are a parameter of their own, by table."""
        return [module.rows_ND for module in self._separate]

    def in_float32(self) -> None:
        """Have what moves in full precision; TRL halves that of adapters on a quantized base."""
        for parameter in self.named().values():
            parameter.data = parameter.data.float()

    def begin(self) -> str:
        """Keep what every tensor is before the first step, for the proof; a hash of all of it."""
        self._start = self._fingerprints()
        return hashlib.sha256(json.dumps(self._start).encode()).hexdigest()

    def named(self) -> dict[str, torch.nn.Parameter]:
        """The parameters that move, by name."""
        return {name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad}

    def proof(self) -> dict[str, Any]:
        """How many tensors moved since the start, how many stayed, and the names of those that should not have."""
        now = self._fingerprints()
        moving = self.named().keys()
        moved = {name for name, fingerprint in self._start.items() if now[name] != fingerprint}
        return {
            "moved": len(moved),
            "stayed": len(self._start) - len(moved),
            "moved_though_frozen": sorted(moved - moving),
            "did_not_move": sorted(moving - moved),
        }

    def require_proof(self) -> None:
        """Raise StageError where anything moved that should not, or did not that should."""
        found = self.proof()
        for key, what in (("did_not_move", "did not move"), ("moved_though_frozen", "moved, though frozen")):
            if names := found[key]:
                raise StageError(
                    f"{len(names)} of the model's tensors {what}: {', '.join(names[:3])}.",
                    remedy="A learning rate of 0 moves nothing; otherwise this model is built in a way that "
                    "is not yet known: report it with its config.json.",
                )

    def figures(self) -> dict[str, Any]:
        """Numbers and bytes of all weights and of those that move, by group."""
        groups: dict[str, dict[str, int]] = {}
        for name, parameter in self.model.named_parameters():
            group = groups.setdefault(_group(name), {"parameters": 0, "trainable": 0, "bytes": 0})
            # Of 4 bits a byte holds two.
            group["parameters"] += parameter.numel() * (2 if parameter.dtype == torch.uint8 else 1)
            group["trainable"] += parameter.numel() if parameter.requires_grad else 0
            group["bytes"] += parameter.numel() * parameter.element_size()
        total, trainable = (sum(group[key] for group in groups.values()) for key in ("parameters", "trainable"))
        return {"trainable_parameters": trainable, "trainable_share": trainable / total, "groups": groups}

    def finish(self) -> None:
        """Make the model one of plain weights again: new rows in their tables, adapters in their matrices."""
        new_rows.join(self.model)
        experts.join(self.adapted_experts)
        if self.adapters is not None:
            self.adapters.merge_and_unload(safe_merge=True)

    @torch.no_grad()
    def hand_over(self, other: "Trainable | None") -> None:
        """Give what moved to the same training of the same model, plain and whole, in the process that has one."""
        # By place: a quantized matrix gives its adapters other names.
        theirs = list(other.named().values()) if other is not None else []
        for place, parameter in enumerate(self.named().values()):
            values = sharding.whole(parameter)
            if other is not None:
                theirs[place].copy_(values)

    def _fingerprints(self) -> dict[str, int]:
        """The sum of each tensor's bits as integers, which a change of any value changes; of all processes' parts."""
        views = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
        parts = {name: sharding.local(parameter.detach()) for name, parameter in self.model.named_parameters()}
        sums = torch.stack([part.view(views[part.element_size()]).sum(dtype=torch.int64) for part in parts.values()])
        return dict(zip(parts, (total(sums) if sharding.is_sharded(self.model) else sums).tolist(), strict=True))


class _Holder(torch.nn.Module):
    """A model whose config PEFT does not see: for some mixtures of experts it would add targets of its own."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model


def _adapt(model: PreTrainedModel, lora: Lora) -> tuple[Any, list[Any]]:
    """Put adapters into the model's linear layers, which freezes all else, and on its experts."""
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel

    shapes = getattr(model, "expert_shapes", None)
    if shapes is None:
        shapes = {(id(module), name): tuple(parameter.shape) for module, name, parameter in experts.matrices(model)}
    if shapes and lora.variant == "dora":
        raise InputError("there is no DoRA for experts.", remedy="Set lora.variant to lora or rslora.")
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        use_rslora=lora.variant == "rslora",
        use_dora=lora.variant == "dora",
        target_modules=_linear_layers(model) if lora.targets == ALL_LINEAR else list(lora.targets),
    )
    try:
        layers = LoraModel(_Holder(model), config, ADAPTER)
    except ValueError as error:
        raise InputError(
            f"no adapters can be put into this model: {error}",
            remedy="Name layers that it has as lora.targets, or leave that out for all linear layers.",
        ) from error
    scale = lora.alpha / (math.sqrt(lora.rank) if lora.variant == "rslora" else lora.rank)
    return layers, experts.adapt(model, shapes if lora.experts else {}, lora.rank, scale)


def _linear_layers(model: PreTrainedModel) -> list[str]:
    """All but the LM head and what chooses experts."""
    head = model.get_output_embeddings()
    return [
        f"model.{name}"
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head and not name.endswith((".gate", ".router"))
    ]


def _end_layers(model: PreTrainedModel) -> torch.nn.ModuleList:
    layers = getattr(model.get_decoder(), "layers", None)
    if layers is None:
        raise InputError("this model's layers are not found.", remedy="Set train to full, lora, embeddings or rows.")
    return torch.nn.ModuleList([*layers[:NUM_END_LAYERS], *layers[NUM_END_LAYERS:][-NUM_END_LAYERS:]])


def _group(name: str) -> str:
    """What a parameter belongs to, by its name as transformers' models have them."""
    if "lora_" in name:
        return "adapters"
    if "rows_ND" in name:
        return "new rows"
    for group, marks in (
        ("norms", ("norm", "ln_")),
        ("experts", ("experts",)),
        ("routers", ("mlp.gate.", "block_sparse_moe.gate.", "router")),
        ("attention", ("attn", "attention")),
        ("feed-forward", ("mlp", "feed_forward", "ffn")),
        ("tables", ("embed", "lm_head", "wte", "wpe")),
    ):
        if any(mark in name for mark in marks):
            return group
    return "other"
