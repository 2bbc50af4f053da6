"""Weights in 4 bits, read on a processor."""

import warnings
from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any

import torch


@cache
def mend() -> torch.library.Library:
    """From now on and in this whole process, bitsandbytes reads right on a processor what it wrote.

    It writes a tensor as one run of blocks, with a scale each. What reads it by AVX-512 begins a new block in every
    row, and takes wrong scales where rows are no whole blocks (bitsandbytes 0.50.2, csrc/cpu_ops.cpp,
    dequantizeBlockwise4bitCpu); here it gets such a tensor as a run. All else stays as it is.
    bitsandbytes has to be imported before.
    """
    kernel = torch.library.get_kernel("bitsandbytes::dequantize_4bit", "CPU")

    def read(
        keys: Any,
        packed: torch.Tensor,
        scales: torch.Tensor,
        block: int,
        quant_type: str,
        shape: Sequence[int],
        dtype: torch.dtype,
    ) -> torch.Tensor:
        rows = shape
        if shape[-1] % block:
            count = prod(shape)
            # Threads share rows: a single one only where the last block is not full.
            rows = (1, count) if count % block else (count // block, block)
        return kernel.call_boxed(keys, packed, scales, block, quant_type, rows, dtype).reshape(shape)

    library = torch.library.Library("bitsandbytes", "IMPL")
    with warnings.catch_warnings():
        # Said even where it is asked for.
        warnings.filterwarnings("ignore", message="(?s).*Overriding a previously registered kernel")
        library.impl("dequantize_4bit", read, "CPU", with_keyset=True, allow_override=True)
    return library
