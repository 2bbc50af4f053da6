"""Published instructions and preferences, where they are on this machine."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lingraft.conversations.build import build
from lingraft.conversations.languages import Expected
from lingraft.conversations.read import read
from lingraft.conversations.record import Conversation, Preference, Verdict
from lingraft.core.outside import RecordSource
from lingraft.corpus import find
from real_files import REAL

DATA = Path(os.environ.get("LINGRAFT_DATA") or REAL / "data")
FILES = {
    "instruct/alpaca_seed_tasks.jsonl": ("Conversation", {"": 175}),
    "instruct/alpaca_zho.jsonl.gz": ("Conversation", {"": 20465}),
    "instruct/llamafactory_alpaca_en_demo.json.gz": ("Conversation", {"": 999}),
    "instruct/llamafactory_alpaca_zh_demo.json.gz": ("Conversation", {"": 1000}),
    "instruct/llamafactory_glaive_toolcall_en_demo.json.gz": ("Conversation", {"": 109, "uses tools": 191}),
    "prefs/llamafactory_dpo_en_demo.json.gz": ("Preference", {"": 300}),
    "prefs/llamafactory_dpo_zh_demo.json.gz": ("Preference", {"": 300}),
    "prefs/llamafactory_kto_en_demo.json.gz": ("Verdict", {"": 300}),
}
WANTED: Any = {"Conversation": Conversation, "Preference": Preference, "Verdict": Verdict}

pytestmark = pytest.mark.skipif(not (DATA / "prefs").exists(), reason="the real instructions are not on this machine")


def test_every_file_is_here() -> None:
    found = {str(path.relative_to(DATA)) for kind in ("instruct", "prefs") for path in (DATA / kind).iterdir()}
    assert found == set(FILES)


@pytest.mark.parametrize("path", FILES)
def test_every_row_of_it_is_read(path: str) -> None:
    kind, whys = FILES[path]
    found = list(read(RecordSource(path=path), DATA, WANTED[kind], max_record_bytes=10**6))
    assert Counter(entry.why for entry in found) == whys
    assert all(isinstance(entry.record, WANTED[kind]) for entry in found if not entry.why)


def test_preferences_of_two_languages(tmp_path: Path) -> None:
    chinese, english = find("zh"), find("en")
    figures = build(
        {
            "target": [RecordSource(path="prefs/llamafactory_dpo_zh_demo.json.gz")],
            "replay": [RecordSource(path=f"prefs/llamafactory_{kind}_en_demo.json.gz") for kind in ("dpo", "kto")],
        },
        tmp_path,
        wanted=(Preference, Verdict),
        languages={"zh": Expected(chinese, english), "en": Expected(english, chinese)},
        expected={"target": "zh", "replay": "en"},
        base_folder=DATA,
        held_out=50,
        size=100,
        max_record_bytes=10**6,
        max_bad_share=0.05,
        seed=1,
    )
    target, replay = figures["streams"]["target"], figures["streams"]["replay"]
    assert (target["train"], target["held_out"], target["verdicts"]) == (100, 50, 0)
    assert replay["pairs"] + replay["held_out_pairs"] > 280
    assert replay["verdicts"] + replay["held_out_verdicts"] > 280
    assert figures["quarantined"]["a replacement character, left by a wrong decoding"] == 6
