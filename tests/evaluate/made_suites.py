"""Data of every suite in the columns in which it was published; the rows are made up."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

PLACES = ("Oława", "Brzeg", "Nysa", "Opole", "Żary", "Iława", "Ełk", "Płock", "Łask", "Koło", "Turek", "Ostróda")
TOPICS = ("science/technology", "travel", "politics", "sports", "health", "entertainment", "geography")


@dataclass(frozen=True)
class Part:
    """A file of a suite, and the split on the hub that holds the same rows."""

    file: str
    hub: str
    config: str | None
    split: str
    rows: list[dict[str, Any]]
    label: str | None
    """The column that has to be one of the labels."""


@dataclass(frozen=True)
class Made:
    """A suite's data."""

    language: str
    parts: list[Part]
    options: dict[str, Any] = field(default_factory=dict)
    repeated: str = ""
    """A text that stands among the examples, although it is asked."""
    num_examples: int = 0
    """Without what is repeated."""


def _xcopa(number: int, premise: str) -> dict[str, Any]:
    return {
        "premise": premise,
        "choice1": f"İp {number} kez koptu.",
        "choice2": f"Işık {number} kez söndü.",
        "question": ("cause", "effect")[number % 2],
        "label": number % 2,
        "idx": number,
    }


def _belebele(number: int) -> dict[str, Any]:
    place = PLACES[number // 2]
    return {
        "link": f"https://example.org/{PLACES[number // 4]}",
        "question_number": 1 + number % 2,
        "flores_passage": f"Miasto {place} leży nad rzeką. Most w mieście {place} ma {number // 2 + 3} przęseł.",
        "question": f"Pytanie {number}: ile przęseł ma most?",
        **{f"mc_answer{answer}": f"{answer + 2 + number}" for answer in range(1, 5)},
        "correct_answer_num": str(1 + number % 4),
    }


def _sib(number: int, text: str) -> dict[str, Any]:
    return {"index_id": number, "category": TOPICS[number // 2 % 7], "text": text}


def _story(number: int, first: str) -> dict[str, Any]:
    return {
        "story_id": f"story-{number}",
        "input_sentence_1": first,
        "input_sentence_2": "It rained all night.",
        "input_sentence_3": "The ferry did not come.",
        "input_sentence_4": f"She waited {number + 2} hours.",
        "sentence_quiz1": "Then she walked home.",
        "sentence_quiz2": f"Then she ate {number + 2} ferries.",
        "answer_right_ending": 1 + number % 2,
    }


def _nli(number: int, premise: str) -> dict[str, Any]:
    return {"premise": premise, "hypothesis": f"नदी {number} साल पुरानी है।", "label": number // 2 % 3}


def _paws(number: int, first: str) -> dict[str, Any]:
    second = f"Der Zug {number} kam vor dem Bus."
    return {"id": number, "sentence1": first, "sentence2": second, "label": number // 2 % 2}


def _winograd(number: int) -> dict[str, Any]:
    return {
        "sentence": f"The spoon did not fit into the cup because _ was {number + 2} inches too long.",
        "option1": "the spoon",
        "option2": "the cup",
        "answer": str(1 + number % 2),
    }


def _exam(number: int, question: str) -> dict[str, Any]:
    choices = [f"{number + 2} km", f"{number + 20} km", f"{number + 200} km"]
    return {
        "id": f"exam-{question[:12]}-{number}",
        "question": question,
        "choices": choices,
        "labels": ["A", "B", "C"],
        "answer": "ABC"[number % 3],
    }


def _global(number: int, question: str) -> dict[str, Any]:
    options = {f"option_{letter}": f"{number} {letter}" for letter in "abcd"}
    return {"subject": ("law", "art")[number % 2], "question": question, **options, "answer": "ABCD"[number % 4]}


def _chinese(number: int, question: str) -> dict[str, Any]:
    return {"question": question, **{letter: f"{number}{letter}" for letter in "ABCD"}, "answer": "ABCD"[number % 4]}


def _capital(row: dict[str, Any]) -> dict[str, Any]:
    return {{"question": "Question", "answer": "Answer"}.get(name, name): value for name, value in row.items()}


def _paragraph(number: int, *questions: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{number}-{question}",
            "context": f"\ufeffMost w {PLACES[number]} ma {number + 3} przęseł.\nZbudowano go w roku 19{number:02}.",
            "question": f"Ile przęseł ma most ({question})?",
            "answers": {"text": [f"{number + 3} przęseł", f"{number + 3}"], "answer_start": [20, 20]},
        }
        for question in questions
    ]


def _arc(number: int, question: str) -> dict[str, Any]:
    labels = ["A", "B", "C", "D"] if number % 2 else ["1", "2", "3", "4"]
    choices = {"text": [f"{number} {name}" for name in ("suns", "moons", "stars", "seas")], "label": labels}
    return {"id": f"arc-{question[:9]}-{number}", "question": question, "choices": choices, "answerKey": labels[2]}


def _twice(text: str) -> str:
    """The same text to a reader, but not to a computer."""
    return f" {text.replace(' ', '  ').upper()} "


_XCOPA = [_xcopa(n, f"Kadın {n + 2} kez güldü.") for n in range(6)]
_SIB = [_sib(n, f"Zdanie numer {n} mówi o miejscu {PLACES[n % 12]}.") for n in range(20)]
_STORIES = [_story(n, f"Ann went to the pier with {n + 2} bags.") for n in range(6)]
_NLI = [_nli(n, f"रीना {n + 2} दिन से घर पर है।") for n in range(7)]
_PAWS = [_paws(n, f"Der Bus kam {n} Minuten vor dem Zug.") for n in range(8)]
_EXAMS = [_exam(n, f"Jak daleko jest do miasta {PLACES[n]}?") for n in range(7)]
_GLOBAL = [_global(n, f"Które prawo ma numer {n}?") for n in range(8)]
_LAW = [_chinese(n, f"第{n}条法律是什么？") for n in range(4)]
_ART = [_chinese(n, f"第{n}幅画是谁画的？") for n in range(4)]
_XQUAD = [row for n in range(12) for row in _paragraph(n, 1, 2)]
_LAMBADA = [{"text": f"Ann had {n} boats.\n\nBen sold {n}; the last of them was a boat"} for n in range(2, 7)]

MADE = {
    "xcopa": Made(
        "tr",
        [
            Part("tur.test", "cambridgeltl/xcopa", "tr", "test", _XCOPA, "label"),
            Part(
                "tur.val",
                "cambridgeltl/xcopa",
                "tr",
                "validation",
                [
                    {**_XCOPA[2], "premise": _twice(_XCOPA[2]["premise"]), "idx": 90},
                    *(_xcopa(n, f"Adam {n} kez.") for n in range(4)),
                ],
                "label",
            ),
        ],
        repeated="kadın 4 kez güldü",
        num_examples=4,
    ),
    "belebele": Made(
        "pl",
        [
            Part(
                "pol_Latn",
                "facebook/belebele",
                "pol_Latn",
                "test",
                [_belebele(n) for n in range(24)],
                "correct_answer_num",
            )
        ],
    ),
    "sib": Made(
        "pl",
        [
            Part("pol_Latn/test", "Davlan/sib200", "pol_Latn", "test", _SIB, "category"),
            Part(
                "pol_Latn/train",
                "Davlan/sib200",
                "pol_Latn",
                "train",
                [_sib(99, _twice(_SIB[3]["text"])), *(_sib(n, f"Przykład numer {n}.") for n in range(28))],
                "category",
            ),
        ],
        repeated="zdanie numer 3 mówi",
        num_examples=28,
    ),
    "xstorycloze": Made(
        "en",
        [
            Part("eng.eval", "juletxara/xstory_cloze", "en", "eval", _STORIES, "answer_right_ending"),
            Part(
                "eng.train",
                "juletxara/xstory_cloze",
                "en",
                "train",
                [
                    {**_STORIES[1], "input_sentence_1": _twice(_STORIES[1]["input_sentence_1"]), "story_id": "again"},
                    *(_story(n, f"Ben lost {n} keys.") for n in range(3)),
                ],
                "answer_right_ending",
            ),
        ],
        repeated="ann went to the pier with 3",
        num_examples=3,
    ),
    "xnli": Made(
        "hi",
        [
            Part("hin.test", "facebook/xnli", "hi", "test", _NLI, "label"),
            Part(
                "hin.validation",
                "facebook/xnli",
                "hi",
                "validation",
                [
                    {**_NLI[0], "premise": f"  {_NLI[0]['premise']}"},
                    *(_nli(n, f"मोहन {n} दिन से बाहर है।") for n in range(12)),
                ],
                "label",
            ),
        ],
        repeated="रीना 2 दिन",
        num_examples=12,
    ),
    "pawsx": Made(
        "de",
        [
            Part("de/test_2k", "google-research-datasets/paws-x", "de", "test", _PAWS, "label"),
            Part(
                "de/dev_2k",
                "google-research-datasets/paws-x",
                "de",
                "validation",
                [
                    {**_PAWS[5], "sentence1": _twice(_PAWS[5]["sentence1"]), "id": 99},
                    *(_paws(n, f"Das Boot kam {n} Tage vor dem Zug.") for n in range(6)),
                ],
                "label",
            ),
        ],
        repeated="der bus kam 5 minuten",
        num_examples=6,
    ),
    "xwinograd": Made(
        "en", [Part("eng", "Muennighoff/xwinograd", "en", "test", [_winograd(n) for n in range(5)], "answer")]
    ),
    "xquad": Made("pl", [Part("pol", "google/xquad", "xquad.pl", "validation", _XQUAD, None)]),
    "exams": Made(
        "pl",
        [
            Part("pol.test", "mhardalov/exams", "multilingual", "test", _EXAMS, "answer"),
            Part(
                "pol.dev",
                "mhardalov/exams",
                "multilingual",
                "validation",
                [
                    # The same question with its options in another order.
                    {**_EXAMS[4], "id": "again", "choices": _EXAMS[4]["choices"][::-1]},
                    *(_exam(n, f"Jak wysoka jest góra {n}?") for n in range(3)),
                ],
                "answer",
            ),
        ],
        repeated="jak daleko jest do miasta żary",
        num_examples=3,
    ),
    "knowledge": Made(
        "pl",
        [
            Part("pol.test", "CohereLabs/Global-MMLU", "pl", "test", _GLOBAL, "answer"),
            Part(
                "pol.dev",
                "CohereLabs/Global-MMLU",
                "pl",
                "dev",
                [
                    {**_GLOBAL[6], "question": _twice(_GLOBAL[6]["question"])},
                    *(_global(n, f"Który obraz ma numer {n}?") for n in range(6)),
                ],
                "answer",
            ),
        ],
        repeated="które prawo ma numer 6",
        num_examples=6,
    ),
    "lambada": Made("en", [Part("eng", "EleutherAI/lambada_openai", "en", "test", _LAMBADA, None)]),
    "english": Made(
        "pl",
        [
            Part("lambada/eng", "EleutherAI/lambada_openai", "en", "test", _LAMBADA, None),
            Part("xquad/eng", "google/xquad", "xquad.en", "validation", _XQUAD, None),
            Part(
                "arc/test",
                "allenai/ai2_arc",
                "ARC-Easy",
                "test",
                [_arc(n, f"Who has {n}?") for n in range(5)],
                "answerKey",
            ),
            Part(
                "arc/validation",
                "allenai/ai2_arc",
                "ARC-Easy",
                "validation",
                [{**_arc(3, "WHO has 3?"), "id": "again"}, *(_arc(n, f"Who lost {n}?") for n in range(3))],
                "answerKey",
            ),
        ],
        repeated="who has 3?",
        num_examples=3,
    ),
}
"""By suite; translation and the starter tasks have no columns."""

OTHERS = {
    "hucopa": Made(
        "hu",
        [
            Part(
                "HuCoPA.train",
                "NYTK/HuCoPA",
                "default",
                "train",
                [{**row, "label": str(row["label"] + 1)} for row in _XCOPA],
                "label",
            ),
            Part(
                "HuCoPA.val",
                "NYTK/HuCoPA",
                "default",
                "validation",
                [{**_xcopa(n, f"Péter {n} könyvet vett."), "label": str(1 + n % 2)} for n in range(3)],
                "label",
            ),
        ],
    ),
    "mmmlu": Made(
        "pt",
        [
            Part(
                "por",
                "openai/MMMLU",
                "PT_BR",
                "test",
                [
                    {**_capital(_chinese(n, f"Qual lei tem o número {n}?")), "Subject": ("law", "art")[n % 2]}
                    for n in range(16)
                ],
                "Answer",
            )
        ],
        {"benchmark": "mmmlu"},
    ),
    "ceval": Made(
        "zh",
        [
            Part("val/law_val", "ceval/ceval-exam", "law", "val", _LAW[:3], "answer"),
            Part("dev/law_dev", "ceval/ceval-exam", "law", "dev", _LAW[2:], "answer"),
            Part("val/art_val", "ceval/ceval-exam", "art", "val", _ART[:3], "answer"),
            Part("dev/art_dev", "ceval/ceval-exam", "art", "dev", _ART[2:], "answer"),
        ],
        {"benchmark": "ceval"},
        repeated="第2",
        num_examples=2,
    ),
    "cmmlu": Made(
        "zh",
        [
            Part("test/law", "haonan-li/cmmlu", "law", "test", [_capital(row) for row in _LAW[:3]], "Answer"),
            Part("dev/law", "haonan-li/cmmlu", "law", "dev", [_capital(row) for row in _LAW[2:]], "Answer"),
        ],
        {"benchmark": "cmmlu"},
        repeated="第2",
        num_examples=1,
    ),
}
"""What suites read in other forms: HuCOPA, and the knowledge suite beside Global-MMLU."""


def save(made: Made, folder: Path) -> Path:
    """The files of a suite."""
    for part in made.parts:
        path = folder / f"{part.file}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_lines(part.rows), encoding="utf-8")
    return folder


def save_hub(made: Made, folder: Path) -> None:
    """The data sets of a suite as they are laid out on the hub, each in a folder of its name."""
    for hub in {part.hub for part in made.parts}:
        parts = [part for part in made.parts if part.hub == hub]
        (folder / hub).mkdir(parents=True)
        configs = ["---", "configs:"]
        for config in dict.fromkeys(part.config for part in parts):
            configs += [f"- config_name: {config}", "  data_files:"]
            for part in (part for part in parts if part.config == config):
                configs += [f"  - split: {part.split}", f"    path: {config}-{part.split}.jsonl"]
                (folder / hub / f"{config}-{part.split}.jsonl").write_text(_lines(part.rows), encoding="utf-8")
        (folder / hub / "README.md").write_text("\n".join([*configs, "---", ""]), encoding="utf-8")


def without(made: Made, column: str, part: int) -> Made:
    """The same, with the second row of a part lacking a column."""
    rows = [dict(row) for row in made.parts[part].rows]
    del rows[1][column]
    return _with_rows(made, part, rows)


def with_value(made: Made, column: str, part: int, value: Any) -> Made:
    """The same, with something else in a column of the second row."""
    rows = [dict(row) for row in made.parts[part].rows]
    rows[1][column] = value
    return _with_rows(made, part, rows)


def _with_rows(made: Made, part: int, rows: list[dict[str, Any]]) -> Made:
    parts = list(made.parts)
    parts[part] = replace(parts[part], rows=rows)
    return replace(made, parts=parts)


def _lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
