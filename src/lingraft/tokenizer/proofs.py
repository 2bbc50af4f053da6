"""What must hold of an extended tokenizer, shown on the result itself."""

import itertools
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from lingraft.core.errors import StageError
from lingraft.core.progress import SILENT, Progress

from . import family, graphemes

NUM_NAMED = 20


def prove(
    old: Path,
    new: Path,
    target: Iterable[str],
    replay: Iterable[str],
    *,
    drops: bool = False,
    renumbers: bool = False,
    demand: bool = True,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """The proofs of the tokenizer in `new` as figures.

    A token is reachable when its own bytes, as one word, are encoded as that token. A round trip is exact when the
    new tokenizer decodes what it encodes to the same text as the old one: the text itself, unless the old normalizer
    changes it (then counted in `changed_by_base`). Ids are compared as loaded from the folder, as loaded again after
    save_pretrained, and in tokenizer.json alone. A grapheme cluster (Unicode Standard Annex 29) is torn where a token
    ends inside of it.
    Raises StageError unless all tokens are reachable, all round trips exact, no new token an added one, no grapheme
    cluster torn where it was not, and old ids, special tokens and chat template as they were; where the method `drops`
    or `renumbers` tokens on purpose, those that left or moved are counted. Without `demand` everything is, for a method
    that is there to be compared with. Replay text that is segmented otherwise than before is only counted.
    """
    before, after = family.open(old), family.open(new)
    with tempfile.TemporaryDirectory() as saved:
        after.save_pretrained(saved)
        reloaded = family.open(Path(saved))
    in_file = Tokenizer.from_file(str(new / "tokenizer.json")).get_vocab(with_added_tokens=True)
    vocabulary = before.get_vocab()
    loaded = (after.get_vocab(), reloaded.get_vocab(), in_file)
    dropped = set().union(*(vocabulary.keys() - found.keys() for found in loaded))
    moved = set().union(*(_moved(vocabulary, found) for found in loaded))
    new_tokens = {index: token for token, index in after.get_vocab().items() if token not in vocabulary}
    model = after.backend_tokenizer.model
    unreachable = [token for index, token in new_tokens.items() if [x.id for x in model.tokenize(token)] != [index]]
    added = [token for token in after.get_added_vocab() if token not in vocabulary]
    special = [_special(tokenizer, renumbers) for tokenizer in (before, after, reloaded)]
    figures: dict[str, Any] = {
        "new_tokens": len(new_tokens),
        "unreachable": len(unreachable),
        "unreachable_names": sorted(unreachable)[:NUM_NAMED],
        "old_ids_moved": len(moved),
        "old_ids_moved_names": sorted(moved)[:NUM_NAMED],
        "old_tokens_dropped": len(dropped),
        "old_tokens_dropped_names": sorted(dropped)[:NUM_NAMED],
        "added_tokens": len(added),
        "added_tokens_names": sorted(added)[:NUM_NAMED],
        "special_tokens_unchanged": special[0] == special[1] == special[2],
        "chat_template_unchanged": before.chat_template == after.chat_template == reloaded.chat_template,
        "normalizer": _normalizer(before),
        **_read(before, after, new_tokens, target, replay, progress),
    }
    if demand:
        _refuse(figures, new, drops, renumbers)
    return figures


def prove_guard(old: Path, new: Path, guard: Iterable[str], *, progress: Progress = SILENT) -> dict[str, int]:
    """How many texts were guarded. Raises StageError when any of them is segmented otherwise than before."""
    tracked = progress.track(guard, "proving the guard", unit="documents")
    first, second = itertools.tee(tracked)
    documents = changed = 0
    both = zip(family.encode(family.open(old), first), family.encode(family.open(new), second), strict=True)
    for (_, old_ids), (_, new_ids) in both:
        documents += 1
        changed += old_ids != new_ids
    if changed:
        raise StageError(
            f"{changed} of {documents} guarded texts are segmented otherwise than before.",
            where=new,
            remedy="Do not train with it. Extend the base tokenizer anew with these texts as its guard.",
        )
    return {"documents": documents, "resegmented": changed}


def _moved(old: dict[str, int], new: dict[str, int]) -> set[str]:
    """The tokens of both that have another id now, or share theirs with another token."""
    by_id = {index: token for token, index in new.items()}
    return {token for token, index in old.items() if token in new and (new[token] != index or by_id[index] != token)}


def _special(tokenizer: PreTrainedTokenizerFast, renumbered: bool) -> tuple[Any, ...]:
    """The special and other added tokens and what is put around a text; by their ids unless these were to change."""
    added = {index: repr(token) for index, token in tokenizer.added_tokens_decoder.items()}
    around = [tokenizer("").input_ids, tokenizer("", "").input_ids]
    if renumbered:
        return tokenizer.special_tokens_map, set(added.values()), *map(tokenizer.convert_ids_to_tokens, around)
    return tokenizer.special_tokens_map, added, *around


def _normalizer(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """The steps that change a text before it is encoded."""
    normalizer = tokenizer.backend_tokenizer.normalizer
    if normalizer is None:
        return []
    settings = json.loads(normalizer.__getstate__())
    return [step["type"] for step in settings.get("normalizers", [settings])]


def _read(
    before: PreTrainedTokenizerFast,
    after: PreTrainedTokenizerFast,
    new_tokens: dict[int, str],
    target: Iterable[str],
    replay: Iterable[str],
    progress: Progress,
) -> dict[str, Any]:
    """Encode and decode every text with both tokenizers."""
    documents = {"target": 0, "replay": 0}
    exact = changed_by_base = resegmented = old_tokens = replay_tokens = torn_before = torn = newly_torn = 0
    used: set[int] = set()
    for stream, texts in (("target", target), ("replay", replay)):
        tracked = progress.track(texts, f"proving on the {stream} text", unit="documents")
        first, second = itertools.tee(tracked)
        both = zip(family.encodings(before, first), family.encodings(after, second), strict=True)
        for (text, old_encoding), (_, new_encoding) in both:
            old_ids, new_ids = old_encoding.ids, new_encoding.ids
            expected = before.backend_tokenizer.decode(old_ids, skip_special_tokens=False)
            documents[stream] += 1
            exact += after.backend_tokenizer.decode(new_ids, skip_special_tokens=False) == expected
            changed_by_base += expected != text
            used.update(new_ids)
            old_torn, new_torn = graphemes.torn(text, old_encoding.offsets), graphemes.torn(text, new_encoding.offsets)
            torn_before += len(old_torn)
            torn += len(new_torn)
            newly_torn += len(new_torn - old_torn)
            if stream == "replay":
                resegmented += old_ids != new_ids
                old_tokens += len(old_ids)
                replay_tokens += len(new_ids)
    return {
        "round_trip": {"documents": sum(documents.values()), "exact": exact, "changed_by_base": changed_by_base},
        "new_tokens_unused": len(new_tokens.keys() - used),
        "graphemes_torn_by_base": torn_before,
        "graphemes_torn": torn,
        "graphemes_newly_torn": newly_torn,
        "replay_documents": documents["replay"],
        "replay_documents_resegmented": resegmented,
        "replay_token_change": replay_tokens / old_tokens - 1 if old_tokens else None,
    }


def _refuse(figures: dict[str, Any], where: Path, drops: bool, renumbers: bool) -> None:
    trip = figures["round_trip"]
    failures = []

    def fail(which: str, what: str) -> None:
        failures.append(f"{figures[which]} {what} ({', '.join(map(repr, figures[f'{which}_names'][:5]))})")

    if figures["unreachable"]:
        fail("unreachable", "new tokens are never produced")
    if trip["exact"] != trip["documents"]:
        failures.append(f"{trip['documents'] - trip['exact']} of {trip['documents']} texts are not decoded as before")
    if figures["old_ids_moved"] and not renumbers:
        fail("old_ids_moved", "old tokens lost their ids")
    if figures["old_tokens_dropped"] and not drops:
        fail("old_tokens_dropped", "old tokens are gone")
    if figures["added_tokens"]:
        fail("added_tokens", "new tokens are added tokens")
    if figures["graphemes_newly_torn"] and not drops:
        failures.append(f"{figures['graphemes_newly_torn']} grapheme clusters are torn that were whole")
    if not figures["special_tokens_unchanged"]:
        failures.append("the special tokens or how they are put around a text changed")
    if not figures["chat_template_unchanged"]:
        failures.append("the chat template changed")
    if failures:
        raise StageError(
            f"the new tokenizer does not hold: {'; '.join(failures)}.",
            where=where,
            remedy="Do not train with it. Extend the base tokenizer anew with method continued_bpe.",
        )
