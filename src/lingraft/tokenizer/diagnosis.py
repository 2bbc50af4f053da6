"""What is wrong with a tokenizer, seen on itself: for one that came without its base, or from elsewhere."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import regex
from sentencepiece import sentencepiece_model_pb2 as proto
from transformers import PreTrainedTokenizerFast

from . import content, family, kind, sentencepiece_model
from .family import BYTE_TOKEN

NUM_NAMED = 8
BEARABLE_SHARE = 0.01
"""Of the vocabulary: published tokenizers have a few tokens that no merge reaches."""
FEWEST = 10
WORD = regex.compile(r"\W?[\p{L}\p{M}]+")
SAMPLE = (
    "The quick brown fox jumps over the lazy dog, doesn't it?",
    "Zażółć gęślą jaźń; árvíztűrő tükörfúrógép; pijamalı hasta.",
    "हिन्दी में लिखा हुआ पाठ है।",
    "def f(x):\n    return [x, 3.14]  # 12,345",
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    holds: bool
    what: str
    """In a sentence, with the figures."""
    names: Sequence[str] = ()
    remedy: str = ""


def diagnose(folder: Path, texts: Iterable[str] = ()) -> list[Finding]:
    """What holds of the tokenizer in `folder` and what does not, those that do not first.

    Ways in which published extensions broke: subwords entered with `add_tokens`, new merges put ahead of the old ones
    (in SentencePiece: pieces of score 0), and tokens appended that no merge reaches. Beside them: ids used twice, files
    that contradict each other, text that does not come back.
    """
    tokenizer = family.open(folder)
    parsed = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    sample = [*SAMPLE, *texts]
    found = [
        _added_words(tokenizer),
        _ids(parsed, tokenizer),
        _round_trip(tokenizer, sample),
    ]
    if parsed["model"]["type"] == "BPE":
        found += [_unreachable(tokenizer), _ahead(parsed["model"])]
    if (model := sentencepiece_model.read(folder)) is not None:
        found += [_zero_scores(model), _agreement(folder, sample)]
    if (folder / "config.json").is_file():
        found.append(_rows(folder, tokenizer))
    return sorted(found, key=lambda finding: finding.holds)


def _unreachable(tokenizer: PreTrainedTokenizerFast) -> Finding:
    """Tokens whose own string the model cuts otherwise."""
    model = tokenizer.backend_tokenizer.model
    added = tokenizer.get_added_vocab()
    own = [(token, index) for token, index in tokenizer.get_vocab().items() if token not in added]
    own = [(token, index) for token, index in own if not BYTE_TOKEN.fullmatch(token)]
    beyond = sorted((index, token) for token, index in own if [piece.id for piece in model.tokenize(token)] != [index])
    share = len(beyond) / max(1, len(own))
    return Finding(
        share <= BEARABLE_SHARE,
        f"{len(beyond):,} of {len(own):,} tokens are never produced ({share:.2%})",
        [token for _, token in beyond[-NUM_NAMED:]],
        "Their rows are never trained. Extend the base anew with lingraft, or write the merges that reach them.",
    )


def _added_words(tokenizer: PreTrainedTokenizerFast) -> Finding:
    words = [
        token.content
        for token in tokenizer.added_tokens_decoder.values()
        if not token.special and WORD.fullmatch(token.content)
    ]
    return Finding(
        len(words) < FEWEST,
        f"{len(words):,} words were entered with add_tokens",
        words[-NUM_NAMED:],
        "Added tokens match inside of words, before anything else, and byte-level models decode their letters wrongly. "
        "Extend the base anew with continued_bpe.",
    )


def _ids(parsed: dict[str, Any], tokenizer: PreTrainedTokenizerFast) -> Finding:
    """Added tokens that the file gives another id than they have when it is loaded, and ids used twice."""
    vocabulary = tokenizer.get_vocab()
    moved = [token["content"] for token in parsed["added_tokens"] if vocabulary.get(token["content"]) != token["id"]]
    by_id: dict[int, str] = {}
    twice = [token for token, index in vocabulary.items() if by_id.setdefault(index, token) != token]
    return Finding(
        not moved and not twice,
        f"{len(moved)} special tokens have another id when loaded than in the file, {len(twice)} ids are used twice",
        [*moved, *twice][:NUM_NAMED],
        "The vocabulary grew under the special tokens: they must stand in model.vocab under their own ids.",
    )


def _round_trip(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> Finding:
    backend = tokenizer.backend_tokenizer
    changed = [
        text
        for text, ids in family.encode(tokenizer, texts)
        if backend.decode(ids, skip_special_tokens=False).strip() != text.strip()
    ]
    return Finding(
        not changed,
        f"{len(changed):,} of {len(texts):,} texts do not come back as they were",
        [text[:60] for text in changed[:NUM_NAMED]],
        "The normalizer changes text, or a character is lost: say so where the model is published, or mend it.",
    )


def _ahead(model: dict[str, Any]) -> Finding:
    """Whether merges of late ids come first: in a BPE as it was trained ids follow the ranks."""
    vocabulary = model["vocab"]
    ranked = [vocabulary.get(left + right, -1) for left, right in dict.fromkeys(content.merges(model))]
    ranked = list(dict.fromkeys(index for index in ranked if index >= 0))
    middle = sorted(ranked)[len(ranked) // 2] if ranked else 0
    ahead = next((at for at, index in enumerate(ranked) if index <= middle), 0)
    names = {index: token for token, index in vocabulary.items()}
    return Finding(
        ahead < FEWEST,
        f"{ahead:,} merges of the vocabulary's later half rank ahead of all others",
        [names[index] for index in ranked[: min(ahead, NUM_NAMED)]],
        "Text of the base's own languages is segmented otherwise than in its training. Put new merges after the old.",
    )


def _zero_scores(model: proto.ModelProto) -> Finding:
    normal = [piece for piece in model.pieces if piece.type == piece.NORMAL]
    zero = [piece.piece for piece in normal if piece.score == 0 and not BYTE_TOKEN.fullmatch(piece.piece)]
    return Finding(
        len(zero) < FEWEST,
        f"{len(zero):,} pieces of tokenizer.model have score 0, before all others",
        zero[-NUM_NAMED:],
        "SentencePiece joins them first, in any language. New pieces need scores below the lowest old one.",
    )


def _agreement(folder: Path, texts: Sequence[str]) -> Finding:
    found = sentencepiece_model.agreement(folder, texts)
    return Finding(
        found["agreeing"] == found["documents"],
        f"tokenizer.model and tokenizer.json agree on {found['agreeing']:,} of {found['documents']:,} texts",
        (),
        "Programs that read the one would feed the model other tokens than it was trained with: write both anew.",
    )


def _rows(folder: Path, tokenizer: PreTrainedTokenizerFast) -> Finding:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    rows = config.get("vocab_size", (config.get("text_config") or {}).get("vocab_size"))
    needed = max(tokenizer.get_vocab().values()) + 1
    return Finding(
        rows is None or rows >= needed,
        f"the model has {rows:,} rows and the tokenizer needs {needed:,}"
        if rows
        else "config.json names no vocab_size",
        (),
        "Graft rows for the new tokens, or take the tokenizer that belongs to the model.",
    )


def describe(folder: Path) -> str:
    """The tokenizer in a few words."""
    tokenizer = family.open(folder)
    return f"{kind.of(tokenizer.backend_tokenizer)}, {len(tokenizer.get_vocab()):,} tokens"
