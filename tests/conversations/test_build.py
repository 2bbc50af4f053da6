"""What is kept, what is left out and why, and how it is split."""

import json
from pathlib import Path
from typing import Any

import pytest
from made_records import ENGLISH, POLISH, alpaca, lines, preference, texts, write

from lingraft.conversations.build import build
from lingraft.conversations.languages import Expected
from lingraft.conversations.record import Conversation, Preference, Verdict, record
from lingraft.core.errors import InputError, StageError
from lingraft.core.outside import RecordSource
from lingraft.corpus import find

PL, EN = find("pl"), find("en")
TRAIN, HELD_OUT = ((texts(POLISH, number), texts(ENGLISH, number)) for number in (50, 20))
LANGUAGES = {
    "pl": Expected.learn(PL, EN, TRAIN, HELD_OUT),
    "en": Expected.learn(EN, PL, TRAIN[::-1], HELD_OUT[::-1]),
}


def built(
    folder: Path,
    target: list[Any],
    replay: list[Any] = (),
    wanted: Any = Conversation,
    language: str | None = None,
    **more: Any,
) -> dict:
    """The figures; the rows are written beside the artifact, whose folder is `out`."""
    streams: dict[str, list[RecordSource]] = {"target": [], "replay": []}
    for name, rows in (("target", target), ("replay", replay)):
        if rows:
            write(folder / f"{name}_source.jsonl", list(rows))
            streams[name] = [RecordSource(path=f"{name}_source.jsonl", language=language)]
    options = {
        "wanted": wanted,
        "languages": LANGUAGES,
        "expected": {"target": "pl", "replay": "en"},
        "base_folder": folder,
        "held_out": 0,
        "size": None,
        "max_record_bytes": 10_000,
        "max_bad_share": 1.0,
        "seed": 7,
    }
    return build(streams, folder / "out", **options | more)


def pairs(folder: Path, target: list[Any], **more: Any) -> dict:
    return built(folder, target, wanted=(Preference, Verdict), **more)


def out(folder: Path, name: str) -> list[dict[str, Any]]:
    return lines(folder / "out" / f"{name}.jsonl")


def questions(rows: list[dict[str, Any]]) -> list[str]:
    return [(row.get("messages") or row["prompt"])[0]["content"] for row in rows]


def test_both_streams_and_their_figures(tmp_path: Path) -> None:
    figures = built(tmp_path, [alpaca(n) for n in range(30)], [alpaca(n, ENGLISH) for n in range(20)], held_out=5)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("target.jsonl", "target.held_out.jsonl", "replay.jsonl", "replay.held_out.jsonl", "quarantine.jsonl")
    }
    target = figures["streams"]["target"]
    assert (target["language"], target["train"], target["held_out"], target["answers"]) == ("pl", 25, 5, 25)
    written = out(tmp_path, "target")
    assert target["bytes"] == sum(len(turn["content"].encode()) for row in written for turn in row["messages"])
    assert target["turns"] == {"p10": 2, "p50": 2, "p90": 2, "p100": 2}
    assert target["answer_languages"] == {"in the language": 25}
    assert figures["streams"]["replay"]["train"] == 15
    assert figures["quarantined"] == figures["repaired"] == {}
    assert figures["sources"] == [
        {"stream": "target", "source": "target_source", "records": 30, "kept": 30},
        {"stream": "replay", "source": "replay_source", "records": 20, "kept": 20},
    ]
    assert figures["judged_by"]["pl"]["by"] == "words"
    first = record(written[0])
    assert isinstance(first, Conversation)
    assert first.id.startswith("target_source-")
    assert len({row["id"] for row in written}) == 25
    json.dumps(figures)


def test_a_missing_stream_has_no_file(tmp_path: Path) -> None:
    built(tmp_path, [alpaca(0)], [alpaca(1, ENGLISH)])
    figures = built(tmp_path, [alpaca(0)])
    assert list(figures["streams"]) == ["target"]
    assert not list((tmp_path / "out").glob("replay*"))


def test_every_bad_record_is_set_apart_with_its_reason(tmp_path: Path) -> None:
    turn = {"user": POLISH[0][0], "assistant": POLISH[0][1]}
    talk = lambda *roles: {"messages": [{"role": role, "content": turn.get(role, "x")} for role in roles]}  # noqa: E731
    planted = {
        "begins with the assistant": talk("assistant", "user", "assistant"),
        "roles do not alternate": talk("user", "user", "assistant"),
        "no answer": talk("user"),
        "uses tools": talk("user", "tool", "assistant"),
        "a system message that is not the first": talk("user", "system", "assistant"),
        "an empty turn": {"instruction": "Co?", "output": ""},
        "a control character": {"instruction": "Co?", "output": "a\x07"},
        "a replacement character, left by a wrong decoding": {"instruction": "Co?", "output": "\ufffd"},
        "not valid Unicode": {"instruction": "Co?", "output": "\ud800"},
        "a mark where text is missing": {"instruction": "Co? <noinput>", "output": "Nic"},
        "longer than max_record_bytes": {"instruction": "Co?", "output": "x" * 20_000},
        "an answer in another language": {"instruction": POLISH[0][0], "output": ENGLISH[0][1]},
        "a prompt in another language": {"instruction": ENGLISH[0][0], "output": POLISH[0][1]},
        "no known form": {"title": "x"},
        "a duplicate": {"instruction": POLISH[1][0].upper() + " (1)!", "output": POLISH[1][1]},
    }
    folder = tmp_path / "a"
    folder.mkdir()
    rows = [alpaca(n) for n in range(10)] + list(planted.values())
    (folder / "target_source.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"half')
    figures = build(
        {"target": [RecordSource(path="target_source.jsonl", name="mine")], "replay": []},
        folder / "out",
        wanted=Conversation,
        languages=LANGUAGES,
        expected={"target": "pl"},
        base_folder=folder,
        held_out=0,
        size=None,
        max_record_bytes=10_000,
        max_bad_share=0.6,
        seed=7,
    )
    assert figures["quarantined"] == dict.fromkeys([*planted, "not JSON"], 1)
    assert figures["streams"]["target"]["train"] == 10
    assert figures["sources"] == [
        {"stream": "target", "source": "mine", "records": 26, "kept": 10} | dict.fromkeys([*planted, "not JSON"], 1)
    ]
    apart = out(folder, "quarantine")
    assert [line["why"] for line in apart] == [*planted, "not JSON"]
    assert [line["number"] for line in apart] == list(range(11, 27))
    assert {(line["stream"], line["source"]) for line in apart} == {("target", "mine")}
    assert apart[0]["place"] == "target_source.jsonl:11"
    assert apart[0]["record"]["messages"][0] == {"role": "assistant", "content": POLISH[0][1]}
    assert apart[3]["record"] == planted["uses tools"]
    assert apart[-1]["record"] == '{"half'


def test_what_was_mended_is_counted(tmp_path: Path) -> None:
    talk = [{"role": role, "content": text} for role, text in zip(("user", "assistant"), POLISH[0], strict=True)]
    figures = built(tmp_path, [{"messages": [*talk, {"role": "user", "content": "Dziękuję"}]}, alpaca(1)])
    assert figures["repaired"] == {"user turns without an answer cut off": 1}
    assert len(out(tmp_path, "target")[0]["messages"]) == 2


def test_an_answer_too_short_to_tell_is_kept(tmp_path: Path) -> None:
    figures = built(tmp_path, [{"instruction": "Ile to 2+2?", "output": "4"}, {"instruction": "Kod?", "output": "Yes"}])
    assert figures["streams"]["target"]["answer_languages"] == {"too short to tell": 2}


def test_a_question_of_replay_may_be_in_any_language(tmp_path: Path) -> None:
    mixed = {"instruction": POLISH[0][0], "output": ENGLISH[0][1]}
    figures = built(tmp_path, [alpaca(0)], [mixed, {"instruction": "Why?", "output": POLISH[0][1]}])
    assert figures["quarantined"] == {"an answer in another language": 1}


def test_a_source_in_a_language_of_its_own(tmp_path: Path) -> None:
    row = {"instruction": POLISH[0][0], "output": ENGLISH[0][1]}
    assert built(tmp_path, [alpaca(0), row])["quarantined"] == {"an answer in another language": 1}
    assert built(tmp_path, [row], language="en")["quarantined"] == {}


@pytest.mark.parametrize("wrong_language", ["drop", "swap"])
def test_pairs_in_the_wrong_language(tmp_path: Path, wrong_language: str) -> None:
    asked, polish = POLISH[0]
    english = ENGLISH[0][1]
    rows = [
        {"prompt": f"{asked} 1", "chosen": polish, "rejected": english},
        {"prompt": f"{asked} 2", "chosen": english, "rejected": polish},
        {"prompt": f"{asked} 3", "chosen": english, "rejected": ENGLISH[1][1]},
        {"prompt": f"{asked} 4", "chosen": english, "rejected": "Nie."},
        {"prompt": f"{asked} 5", "completion": english, "label": True},
        {"prompt": f"{asked} 6", "completion": english, "label": False},
        {"prompt": f"{asked} 7", "chosen": polish, "rejected": polish},
    ]
    figures = pairs(tmp_path, rows, wrong_language=wrong_language)
    swapped = {"answers swapped, the rejected one being in the language": 1} if wrong_language == "swap" else {}
    assert figures["repaired"] == swapped
    assert figures["quarantined"] == {
        "the preferred answer is in another language": 4 - len(swapped),
        "chosen and rejected are the same": 1,
    }
    kept = out(tmp_path, "target")
    assert [question[-1] for question in questions(kept)] == (["1", "2", "6"] if swapped else ["1", "6"])
    assert all(row["chosen"] == polish for row in kept if "chosen" in row)
    told = figures["streams"]["target"]
    assert (told["pairs"], told["verdicts"], told["good_verdicts"]) == (1 + len(swapped), 1, 0)


def test_figures_of_pairs(tmp_path: Path) -> None:
    rows = [preference(n) for n in range(9)]
    figures = pairs(tmp_path, rows, held_out=3)["streams"]["target"]
    kept = [record(row) for row in out(tmp_path, "target")]
    longer = sum(len(pair.chosen.encode()) > len(pair.rejected.encode()) for pair in kept)
    assert (figures["pairs"], figures["held_out_pairs"]) == (6, 3)
    assert figures["chosen_longer"] == longer / 6
    assert figures["answers"] == 12


def test_pairs_and_verdicts_are_held_out_alike(tmp_path: Path) -> None:
    verdicts = [
        {"prompt": alpaca(n)["instruction"], "completion": alpaca(n)["output"], "label": n % 2} for n in range(20, 120)
    ]
    figures = pairs(tmp_path, [*(preference(n) for n in range(20)), *verdicts], held_out=5)["streams"]["target"]
    assert (figures["pairs"], figures["held_out_pairs"]) == (15, 5)
    assert (figures["verdicts"], figures["held_out_verdicts"]) == (95, 5)
    assert figures["held_out"] == 10


def test_duplicates_and_opposites(tmp_path: Path) -> None:
    rows = [preference(0), preference(0), preference(0)]
    rows[2] |= {"chosen": rows[0]["rejected"], "rejected": rows[0]["chosen"]}
    verdict = {"prompt": POLISH[0][0], "completion": POLISH[0][1], "label": True}
    figures = pairs(tmp_path, [*rows, verdict, verdict, verdict | {"label": False}], max_bad_share=0.0)
    assert figures["quarantined"] == {"a duplicate": 2, "the opposite of an earlier record": 2}
    assert len(out(tmp_path, "target")) == 2


def test_replay_holds_nothing_of_the_target(tmp_path: Path) -> None:
    code = {"instruction": "2 + 2", "output": "4"}
    figures = built(tmp_path, [alpaca(0), code], [alpaca(0, ENGLISH), code])
    assert figures["quarantined"] == {"a duplicate": 1}
    assert questions(out(tmp_path, "target"))[1] == "2 + 2"
    assert len(out(tmp_path, "replay")) == 1


def test_no_question_is_in_training_and_held_out(tmp_path: Path) -> None:
    """Three answers to each question, spelled in three ways, and some of the questions in the replay stream too."""
    target = []
    for number in range(30):
        row = alpaca(number)
        for asked, said in (
            (row["instruction"], "raz"),
            (f" {row['instruction']} ", "dwa"),
            (row["instruction"][:-1], "3"),
        ):
            target.append({"instruction": asked, "output": f"{row['output']} {said}"})
    replay = [alpaca(n, ENGLISH) for n in range(20)]
    replay += [{"instruction": alpaca(n)["instruction"], "output": ENGLISH[0][1]} for n in range(30)]
    figures = built(tmp_path, target, replay, held_out=15)
    plain = {
        name: {"".join(filter(str.isalnum, question)).lower() for question in questions(out(tmp_path, name))}
        for name in ("target", "target.held_out", "replay", "replay.held_out")
    }
    train, held_out = plain["target"] | plain["replay"], plain["target.held_out"] | plain["replay.held_out"]
    assert not train & held_out
    assert figures["streams"]["target"]["held_out"] >= 15
    assert figures["quarantined"]["its prompt is held out in the other stream"] > 0
    assert sum(map(len, (out(tmp_path, name) for name in plain))) + sum(figures["quarantined"].values()) == 140


def test_smaller_sizes_are_among_larger_ones(tmp_path: Path) -> None:
    rows = [alpaca(n) for n in range(60)]
    found = {}
    for size in (5, 20, 1000, None):
        figures = built(tmp_path, rows, held_out=10, size=size)["streams"]["target"]
        found[size] = questions(out(tmp_path, "target"))
        assert (figures["train"], figures["available"]) == (min(size or 50, 50), 50)
        found["held out", size] = questions(out(tmp_path, "target.held_out"))
    assert set(found[5]) < set(found[20]) < set(found[1000])
    assert found[1000] == found[None]
    assert found["held out", 5] == found["held out", None]
    # In the order of reading, from all over the source.
    numbers = [int(question.rpartition("(")[2][:-1]) for question in found[20]]
    assert numbers == sorted(numbers)
    assert numbers[0] < 15
    assert numbers[-1] > 45


def test_a_source_that_grows_keeps_what_it_held_out(tmp_path: Path) -> None:
    built(tmp_path, [alpaca(n) for n in range(200)], held_out=20)
    before = set(questions(out(tmp_path, "target.held_out")))
    built(tmp_path, [alpaca(n) for n in range(210)], held_out=20)
    assert len(before & set(questions(out(tmp_path, "target.held_out")))) >= 17


def test_the_seed_draws_and_nothing_else_does(tmp_path: Path) -> None:
    rows = [alpaca(n) for n in range(60)]
    contents = []
    for seed in (1, 1, 2):
        built(tmp_path, rows, held_out=10, size=20, seed=seed)
        contents.append({path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()})
    assert contents[0] == contents[1]
    assert contents[0]["target.held_out.jsonl"] != contents[2]["target.held_out.jsonl"]


def test_too_many_bad_records(tmp_path: Path) -> None:
    rows = [alpaca(n) for n in range(8)] + [{"instruction": "Co?", "output": ""}] * 2
    with pytest.raises(StageError) as error:
        built(tmp_path, rows, max_bad_share=0.1)
    said = str(error.value)
    assert "quarantine.jsonl: 2 of 10 target records are bad: 20.00%, above max_bad_share = 10.00%." in said
    assert "2 x an empty turn, first target_source.jsonl:9" in said
    assert "Mend the sources, or raise `max_bad_share`." in said
    built(tmp_path, rows, max_bad_share=0.2)


def test_a_stream_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="the replay stream is empty: 1 records, none of which was kept"):
        built(tmp_path, [{"instruction": "2 + 2", "output": "4"}], [{"instruction": "2 + 2", "output": "4"}])


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (6, r"target: there are 6 conversations, and 5 are to be held out: over half\.\n  Lower `held_out`"),
        (1, r"target: all 1 conversations are one group(.|\n)*or set `held_out: 0`"),
    ],
)
def test_too_few_to_hold_out(tmp_path: Path, number: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        built(tmp_path, [alpaca(n) for n in range(number)], held_out=5)
