"""SIB-200: what a sentence is about, in 205 languages."""

from lingraft.core.errors import RecipeError
from lingraft.core.registry import did_you_mean
from lingraft.evaluate.task import Item, Task, taking_turns, without_overlap

from .source import Source
from .words import Words

PAPER = "Adelani et al. 2024, https://arxiv.org/abs/2309.07445 (Davlan/sib200)"
HUB = {"hub": "Davlan/sib200", "config": "{flores}"}
LABELS = ("science/technology", "travel", "politics", "sports", "health", "entertainment", "geography")
TOPIC = "topic"
WRITTEN = {
    "en": ("Topic", *LABELS),
    "pl": ("Temat", "nauka i technika", "podróże", "polityka", "sport", "zdrowie", "rozrywka", "geografia"),
    "hu": ("Téma", "tudomány és technika", "utazás", "politika", "sport", "egészség", "szórakozás", "földrajz"),
    "tr": ("Konu", "bilim ve teknoloji", "seyahat", "siyaset", "spor", "sağlık", "eğlence", "coğrafya"),
    "hi": ("विषय", "विज्ञान और प्रौद्योगिकी", "यात्रा", "राजनीति", "खेल", "स्वास्थ्य", "मनोरंजन", "भूगोल"),
}
"""The word before the topic, and the topics in the order of the labels."""


def sib(source: Source, words: Words, *, topics: dict[str, str] | None = None) -> list[Task]:
    """Which of seven topics a sentence has: the likeliest of their names after the sentence.

    `topics` has other names for them, and for "topic" itself: {topic: Tema, travel: viajes, ...}.

    Languages: 205, by their FLORES-200 codes
    Metric: accuracy by likelihood
    Shots: seven by default; from train, one of each topic after another
    Files: `{flores}/test`, `{flores}/train` with index_id, category and text
    Hub: Davlan/sib200, `{flores}`
    """
    topics = topics or {}
    for name in topics:
        if name not in (TOPIC, *LABELS):
            raise RecipeError(
                f'there is no topic "{name}".', where="topics", remedy=did_you_mean(name, (TOPIC, *LABELS))
            )
    title, *names = [
        topics.get(label, name)
        for label, name in zip((TOPIC, *LABELS), WRITTEN.get(words.tag, WRITTEN["en"]), strict=True)
    ]
    is_english = words.tag not in WRITTEN and len(topics) <= len(LABELS)
    items, shots = (
        tuple(
            Item(
                str(row["index_id"]),
                f"{words.text}: {row.text('text')}\n{title}:",
                tuple(f"{words.space}{name}" for name in names),
                row.index("category", LABELS),
            )
            for row in source.rows(f"{{flores}}/{part}", **HUB, split=part)
        )
        for part in ("test", "train")
    )
    return [
        Task(
            "sib",
            "sib",
            "SIB-200",
            source.language.tag,
            words.tag,
            "choice",
            items,
            taking_turns(without_overlap(shots, items)),
            num_shots=len(LABELS),
            by_bytes=False,
            source=PAPER,
            notes=("The topics have English names: `topics` can give others.",) if is_english else (),
        )
    ]
