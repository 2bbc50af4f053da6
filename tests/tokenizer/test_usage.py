import json
from collections import Counter
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from lingraft.core.errors import StageError
from lingraft.tokenizer import content, family
from lingraft.tokenizer.extension import extend, open_source
from lingraft.tokenizer.proofs import prove
from lingraft.tokenizer.usage import least_used, usage


def test_usage_counts_the_tokens_of_the_texts(any_base: Path, polish: list[str]) -> None:
    source = open_source(any_base)
    tokens = [token for text in polish for token in source.tokenizer.backend_tokenizer.encode(text).tokens]
    special = set(source.tokenizer.all_special_tokens) - {"<unk>"}
    assert usage(source, polish) == Counter(token for token in tokens if token not in special)


def test_only_leaves_leave_and_the_least_used_first(tiny_base: Path, english: list[str]) -> None:
    source = open_source(tiny_base)
    used = usage(source, english)
    dropped = least_used(source, used, 40)
    assert len(dropped) == 40
    kept = set(source.tokenizer.get_vocab()) - set(dropped)
    for left, right in content.merges(source.content["model"]):
        assert left + right not in kept or {left, right} <= kept
    assert not [token for token in dropped if len(token) == 1 or token.startswith("<|")]
    # No leaf that stays is used less than one that left.
    needed = {part for merge in content.merges(source.content["model"]) for part in merge if "".join(merge) in kept}
    leaves = [token for token in kept - needed if len(token) > 1 and not token.startswith("<|")]
    assert max(used[token] for token in dropped) <= min(used[token] for token in leaves)


def test_all_that_may_leave_ends_at_the_symbols(tiny_base: Path) -> None:
    source = open_source(tiny_base)
    dropped = least_used(source, Counter(), 10_000)
    assert {len(token) for token in set(source.tokenizer.get_vocab()) - set(dropped)} == {1, 7}


def test_replaced_tokens_hand_their_ids_on(
    any_base: Path, tmp_path: Path, polish: list[str], english: list[str]
) -> None:
    figures = extend(any_base, polish * 3, tmp_path, method="replace", new_tokens=30, replay=english)
    old, new = family.open(any_base).get_vocab(), family.open(tmp_path).get_vocab()
    assert figures["new_size"] == figures["old_size"] == len(old) == len(new)
    assert figures["new_tokens"] == figures["text"]["dropped"] == 30
    gone = old.keys() - new.keys()
    assert {old[token] for token in gone} == {new[token] for token in new.keys() - old.keys()}
    proofs = prove(any_base, tmp_path, polish, english, drops=True)
    assert (proofs["old_tokens_dropped"], proofs["old_ids_moved"], proofs["unreachable"]) == (30, 0, 0)
    with pytest.raises(StageError, match="30 old tokens are gone"):
        prove(any_base, tmp_path, polish, english)


def test_a_guarded_text_keeps_its_tokens_when_others_give_way(
    tiny_base: Path, tmp_path: Path, polish: list[str]
) -> None:
    guard = ["The market opened at six.", "A narrow path leads through the forest."]
    extend(tiny_base, polish * 3, tmp_path, method="replace", new_tokens=60, guard=guard)
    for text in guard:
        ids = [family.open(folder)(text).input_ids for folder in (tiny_base, tmp_path)]
        assert ids[0] == ids[1]


def test_nothing_to_replace_is_an_error(tiny_base: Path, tmp_path: Path, polish: list[str], english: list[str]) -> None:
    extend(tiny_base, [], tmp_path / "bytes", method="prune", new_tokens=0, options={"drop_tokens": 10_000})
    with pytest.raises(StageError, match=r"no old token may give way(.|\n)*continued_bpe"):
        extend(tmp_path / "bytes", polish * 3, tmp_path / "new", method="replace", new_tokens=5)


def test_pruned_ids_close_up(any_base: Path, tmp_path: Path, polish: list[str], english: list[str]) -> None:
    figures = extend(
        any_base, polish, tmp_path, method="prune", new_tokens=0, options={"drop_tokens": 25}, replay=english
    )
    old, new = family.open(any_base), family.open(tmp_path)
    assert figures["text"]["dropped"] == 25
    assert figures["new_size"] == figures["old_size"] - 25
    assert sorted(new.get_vocab().values()) == list(range(figures["new_size"]))
    in_order = [token for token, _ in sorted(old.get_vocab().items(), key=lambda item: item[1])]
    kept = [token for token, _ in sorted(new.get_vocab().items(), key=lambda item: item[1])]
    assert kept == [token for token in in_order if token in new.get_vocab()]
    proofs = prove(any_base, tmp_path, polish, english, drops=True, renumbers=True)
    assert proofs["round_trip"]["exact"] == 16


def test_the_special_tokens_around_a_text_follow_their_ids(tiny_base: Path, tmp_path: Path) -> None:
    source = open_source(tiny_base)
    last = {**source.content, "added_tokens": [*source.content["added_tokens"]]}
    moved = content.close_up(last, {"her", "ing"} & set(source.tokenizer.get_vocab()))
    tokenizer = Tokenizer.from_str(json.dumps(moved))
    assert tokenizer.encode("The").tokens[0] == "<|bos|>"
