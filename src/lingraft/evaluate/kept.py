"""Results on disk, each with what it is the result of, so that none is taken for another's."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lingraft.core.artifact import LOG, MANIFEST, write_json
from lingraft.core.outside import ContentHashes

CONTENT = (".safetensors", ".json", ".jinja", ".model", ".txt", ".tiktoken", ".py")
"""Weights, configuration, tokenizer, chat template and code of a model's folder."""
_content_hash = ContentHashes()


def result(file: Path, identity: dict[str, Any], make: Callable[[], Any]) -> Any:
    """What the file holds of the same identity, or else what is made now, which it holds from then on."""
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if kept.get("identity") != identity:
        kept = {"identity": identity, "result": make()}
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, kept)
    return kept["result"]


def model_digest(folder: Path) -> str:
    """Of all files that decide what a model answers; each is read once, as long as it does not change."""
    files = sorted(path for path in folder.iterdir() if path.suffix in CONTENT and path.name not in (MANIFEST, LOG))
    return digest([[path.name, _content_hash(path)] for path in files])


def digest(value: object) -> str:
    """Of plain JSON."""
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode()).hexdigest()[:24]
