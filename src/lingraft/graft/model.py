"""The base in memory with a row for every token of the new tokenizer: what trained strategies and the bake-off run.

V rows of the old tables, N new rows, D columns.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from .matching import Matching, match
from .starting import Choice, start
from .strategy import INPUT, OUTPUT, Grafting


def load(grafting: Grafting) -> PreTrainedModel:
    """The base with all weights frozen: in float32 on a CPU, in bfloat16 on a GPU."""
    device, dtype = ("cuda", torch.bfloat16) if torch.cuda.is_available() else ("cpu", torch.float32)
    model = AutoModelForCausalLM.from_pretrained(
        grafting.base,
        dtype=dtype,
        local_files_only=True,
        trust_remote_code=grafting.trust_remote_code,
        use_safetensors=True,
    )
    return model.to(device).eval().requires_grad_(False)


def grow(model: PreTrainedModel, grafting: Grafting) -> None:
    """Arrange the tables for the new tokenizer, as the grafted checkpoint has them; new rows are zeros until set."""
    matching = match(grafting.old, grafting.new, grafting.base)
    bias = getattr(model.get_output_embeddings(), "bias", None)
    tables = {side: weight(model, side).data for side in sides(model)}
    size = matching.size(len(tables[INPUT]))
    model.resize_token_embeddings(size, mean_resizing=False)
    for side, table_VD in tables.items():
        weight(model, side).data = matching.arrange(table_VD, size)
    if bias is not None:
        model.get_output_embeddings().bias.data = grown_bias(bias.data, matching, grafting, size)
    model.requires_grad_(False)


def grown_bias(bias_V: torch.Tensor, matching: Matching, grafting: Grafting, size: int) -> torch.Tensor:
    """The bias of a head with the mean over the pieces for each new token."""
    bias_V1 = bias_V[:, None]
    old = replace(grafting, tables={OUTPUT: bias_V1[: matching.num_old].cpu()})
    means, _ = start(old, {OUTPUT: Choice("subwords")})
    grown_V1 = matching.arrange(bias_V1, size)
    grown_V1[list(matching.fresh)] = means[OUTPUT].to(bias_V.device)
    return grown_V1.reshape(size)


def sides(model: PreTrainedModel) -> tuple[str, ...]:
    """The tables of the model: input and output, or input alone where they are one."""
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    return (INPUT,) if tied else (INPUT, OUTPUT)


def weight(model: PreTrainedModel, side: str) -> torch.nn.Parameter:
    """The table of one side."""
    return (model.get_input_embeddings() if side == INPUT else model.get_output_embeddings()).weight


def set_rows(model: PreTrainedModel, side: str, ids: Sequence[int], rows_ND: torch.Tensor) -> None:
    """Put rows into the table of one side."""
    table_VD = weight(model, side).data
    table_VD[list(ids)] = rows_ND.to(table_VD)
