"""What a model loses at 16, 8 and 4 bits a weight, before and after it was adapted.

R resamples, N documents.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, PreTrainedModel

from lingraft.core.artifact import write_json
from lingraft.evaluate.evaluate import load
from lingraft.evaluate.generate import Loaded
from lingraft.evaluate.statistics import holm

from .measures import Measure, count, measures
from .resampling import Resampling, interval, p_value
from .subject import Subject, spread

Precision = Literal["unquantized", "16", "8", "4"]
PRECISIONS: tuple[Precision, ...] = ("unquantized", "16", "8", "4")
BLOCK = 64
STORED_BITS = {"16": 16, "8": 8, "4": 4.127}
"""Of a weight; nf4 with its scales, themselves quantized (Dettmers et al. 2023, arXiv 2305.14314, section 3)."""


def quantization(subject: Subject, *, documents: Annotated[int, Field(ge=2)] = 64) -> dict[str, Any]:
    """Every score at every precision, its change against the model as it is evaluated otherwise, and the paired
    difference of that change between the first model and each of the others.

    16 bits are bfloat16, 8 are LLM.int8 (Dettmers et al. 2022, arXiv 2208.07339), 4 are nf4 (Dettmers et al. 2023,
    arXiv 2305.14314), both by bitsandbytes. Embeddings, the LM head and routers stay at 16. Matrices of experts, which
    bitsandbytes leaves out, are rounded to the same values; the share of weights that were quantized is given.
    """
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        return {"skipped": "bitsandbytes is not installed: pip install 'lingraft[gpu]'."}
    texts = [spread(text, documents) for text in subject.texts]
    scored = measures(texts, subject.tasks, subject.context_tokens, subject.progress)
    kept = {
        name: {precision: _measured(name, path, precision, scored, subject) for precision in PRECISIONS}
        for name, path in subject.models.items()
    }
    return {
        "documents": {text.stream: len(text.texts) for text in texts},
        "languages": {text.stream: text.language.tag for text in texts},
        "context_tokens": subject.context_tokens,
        "models": {
            name: {precision: found["weights"] for precision, found in by_precision.items()}
            for name, by_precision in kept.items()
        },
        "measures": {name: measure.described() for name, measure in scored.items()},
        "rows": _rows(kept, scored, subject.seed),
    }


def _rows(kept: Mapping[str, Mapping[str, Any]], scored: Mapping[str, Measure], seed: int) -> list[dict[str, Any]]:
    rows, tests = [], []
    first = next(iter(kept))
    for measured, measure in scored.items():
        draws = Resampling(len(kept[first]["unquantized"]["counts"][measured]), seed)
        scores = {
            (name, precision): measure.metric.of_sums(draws.sums(np.array(found["counts"][measured])))
            for name, by_precision in kept.items()
            for precision, found in by_precision.items()
        }
        for (name, precision), values_R in scores.items():
            row: dict[str, Any] = {"model": name, "precision": precision, "measure": measured}
            row["score"] = interval(values_R)
            if precision != "unquantized":
                change_R = values_R - scores[name, "unquantized"]
                row["change"] = _tested(change_R, tests)
                if name != first:
                    before_R = scores[first, precision] - scores[first, "unquantized"]
                    row["more_than_before"] = _tested(change_R - before_R, tests)
            rows.append(row)
    for test, corrected in zip(tests, holm([test["p"] for test in tests]), strict=True):
        test |= {"p_holm": corrected, "differs": corrected < 0.05}
    return rows


def _tested(values_R: np.ndarray, tests: list[dict[str, Any]]) -> dict[str, Any]:
    figure = interval(values_R) | {"p": p_value(values_R)}
    tests.append(figure)
    return figure


def _measured(
    name: str, path: Path, precision: Precision, scored: Mapping[str, Measure], subject: Subject
) -> dict[str, Any]:
    """What was counted in every item, and how the weights are kept; written as soon as it is there."""
    file = subject.folder / f"quantization-{name}-{precision}.json"
    if not file.exists():
        loaded, weights = load_at(path, precision, trust_remote_code=path in subject.trusted)
        write_json(file, {"weights": weights, "counts": count(scored, loaded)})
    return json.loads(file.read_text(encoding="utf-8"))


def load_at(path: Path, precision: Precision, *, trust_remote_code: bool = False) -> tuple[Loaded, dict[str, Any]]:
    """A model at a precision, with the shares of its weights that were quantized, read from their types."""
    if precision == "unquantized":
        loaded = load(path, trust_remote_code=trust_remote_code)
        stored = 8 * loaded.model.dtype.itemsize
        return loaded, {"quantized": 0.0, "experts": 0.0, "bits_per_weight": stored}
    model = AutoModelForCausalLM.from_pretrained(
        path,
        dtype=torch.bfloat16,
        local_files_only=True,
        trust_remote_code=trust_remote_code,
        use_safetensors=True,
        quantization_config=BitsAndBytesConfig(load_in_8bit=True) if precision == "8" else None,
        device_map={"": torch.cuda.current_device() if torch.cuda.is_available() else "cpu"},
    ).eval()
    total = model.num_parameters()
    layers = sum(parameter.numel() for parameter in model.parameters() if not parameter.is_floating_point())
    experts = 0
    if precision == "4":
        layers = _round([module.weight for module in _linear_layers(model)], _to_nf4)
    if precision != "16":
        experts = _round([p for p in model.parameters() if p.ndim == 3], _to_nf4 if precision == "4" else _to_int8)
    share = (layers + experts) / total
    weights = {
        "quantized": layers / total,
        "experts": experts / total,
        "bits_per_weight": share * STORED_BITS[precision] + (1 - share) * 16,
    }
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=trust_remote_code)
    return Loaded(model, tokenizer), weights


def _linear_layers(model: PreTrainedModel) -> list[torch.nn.Module]:
    """Those that bitsandbytes would put its own in the place of: all but the LM head; routers are none."""
    head = model.get_output_embeddings()
    return [module for module in model.modules() if isinstance(module, torch.nn.Linear) and module is not head]


@torch.no_grad()
def _round(weights: Sequence[torch.Tensor], rounded: Callable[[torch.Tensor], torch.Tensor]) -> int:
    """Put in the place of weights what their quantized form says; how many weights there are."""
    for weight in weights:
        weight.copy_(rounded(weight.data))
    return sum(weight.numel() for weight in weights)


def _to_nf4(weight: torch.Tensor) -> torch.Tensor:
    """In blocks of 64, whose scales are quantized as well; a product with it is what a kernel for 4 bits computes.

    In rows of one block: bitsandbytes 0.50 unpacks wrongly on a processor where rows are no multiple of a block.
    """
    from bitsandbytes import functional

    flat = weight.flatten()
    blocks = torch.nn.functional.pad(flat, (0, -len(flat) % BLOCK)).reshape(-1, BLOCK)
    packed, state = functional.quantize_4bit(blocks, quant_type="nf4", blocksize=BLOCK, compress_statistics=True)
    return functional.dequantize_4bit(packed, state).flatten()[: len(flat)].reshape(weight.shape)


def _to_int8(weight: torch.Tensor) -> torch.Tensor:
    """With a scale for every row, as LLM.int8 has weights; activations stay as they are."""
    scale = weight.float().abs().amax(dim=-1, keepdim=True).clamp(min=1e-12) / 127
    return (weight.float() / scale).round() * scale
