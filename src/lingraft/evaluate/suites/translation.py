"""Translation to and from English: FLORES, NTREX, or any two files of lines that belong together."""

from collections.abc import Sequence
from dataclasses import replace

from lingraft.core.errors import InputError
from lingraft.corpus.language import Language, find
from lingraft.evaluate.metrics import has_spbleu
from lingraft.evaluate.task import Item, Task, without_overlap

from .source import Row, Source
from .words import Words

PAPER = (
    "FLORES+: NLLB Team 2022, https://arxiv.org/abs/2207.04672 (openlanguagedata/flores_plus); "
    "NTREX-128: Federmann et al. 2022, https://aclanthology.org/2022.sumeval-1.4"
)
NUM_SHOTS = 5
MAX_NEW_TOKENS = 128


def translation(source: Source, words: Words) -> list[Task]:
    """Sentences out of English and into it, written greedily up to the end of the line.

    Languages: 220 by their FLORES-200 codes; NTREX 128; any other in files
    Metric: chrF++, and spBLEU where sacrebleu has fetched its model
    Shots: five from dev; where there is none, the first lines, which are not asked then
    Files: `{iso3}.devtest` and `{iso3}.dev` with a column text (FLORES), or `{iso3}` alone (NTREX), a sentence a line,
    each beside the one in English
    Hub: openlanguagedata/flores_plus, `{flores}`
    """
    english = replace(source, language=find("en"))
    notes: tuple[str, ...] = ()
    if source.folder is None or source.has("{iso3}.devtest"):
        pairs = _pairs(source, english, "{iso3}.devtest", "devtest")
        examples = _pairs(source, english, "{iso3}.dev", "dev")
    else:
        pairs = _pairs(source, english, "{iso3}", "test")
        # A document goes on in its next lines; those between are left out too, so that no example has a neighbor here.
        examples, pairs = pairs[:NUM_SHOTS], pairs[2 * NUM_SHOTS :]
        notes = (f"There is no dev part: the first {2 * NUM_SHOTS} lines give the examples and are not asked.",)
    return both_ways(
        "translation", "Translation", pairs, examples, (source.language, english.language), words, notes=notes
    )


def both_ways(
    name: str,
    title: str,
    pairs: Sequence[tuple[str, str, str]],
    examples: Sequence[tuple[str, str, str]],
    languages: tuple[Language, Language],
    words: Words,
    *,
    notes: tuple[str, ...] = (),
    paper: str = PAPER,
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> list[Task]:
    """A task out of each language into the other, of (id, sentence, its translation)."""
    tasks = []
    for out_of, into in ((0, 1), (1, 0)):
        labels = [words.language(languages[out_of]), words.language(languages[into])]
        items, shots = (
            tuple(
                Item(pair[0], f"{labels[0]}: {pair[1 + out_of]}\n{labels[1]}:", (f"{words.space}{pair[1 + into]}",))
                for pair in part
            )
            for part in (pairs, examples)
        )
        tasks.append(
            Task(
                f"{name}-{languages[out_of].tag}-{languages[into].tag}",
                name,
                f"{title}, {languages[out_of].name} into {languages[into].name}",
                languages[0].tag,
                words.tag,
                "write",
                items,
                without_overlap(shots, items)[:NUM_SHOTS],
                ("chrf", "spbleu") if has_spbleu() else ("chrf",),
                max_new_tokens=max_new_tokens,
                source=paper,
                notes=notes,
            )
        )
    return tasks


def _pairs(source: Source, english: Source, file: str, split: str) -> list[tuple[str, str, str]]:
    sides = [
        side.rows(file, hub="openlanguagedata/flores_plus", config="{flores}", split=split)
        for side in (source, english)
    ]
    if len(sides[0]) != len(sides[1]):
        raise InputError(
            f"the two sides have {len(sides[0])} and {len(sides[1])} lines, so they do not belong together.",
            where=sides[0][0].where,
            remedy="Every line of a side is the translation of the same line of the other.",
        )
    lines = enumerate(zip(*([_text(row) for row in side] for side in sides), strict=True))
    return [(str(number), here, there) for number, (here, there) in lines if here and there]


def _text(row: Row) -> str:
    """Of a row; empty where the line is, so that the pair is left out."""
    is_empty = isinstance(row["text"], str) and not row["text"].strip()
    return "" if is_empty else row.text("text")
