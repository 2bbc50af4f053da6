"""Which tokens a BPE makes by its merges."""

import json
from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer


def unreached(content: dict[str, Any], tokens: Iterable[str]) -> list[str]:
    """Those tokens that the merges of a tokenizer.json never make of their own symbols.

    With `ignore_merges`, as Llama-3 has it, such a token is still found where it is a whole pre-token.
    """
    model = {**content["model"], "ignore_merges": False}
    backend = Tokenizer.from_str(json.dumps({**content, "model": model}))
    return [token for token in tokens if [part.value for part in backend.model.tokenize(token)] != [token]]
