"""Suites of tasks from files and from the hub: what is asked, what is right, and what stands before it."""

import gzip
import inspect
import json
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
from made_suites import MADE, OTHERS, Made, save, save_hub, with_value, without

from lingraft.core.errors import InputError, RecipeError
from lingraft.core.registry import resolve
from lingraft.corpus.language import find
from lingraft.evaluate.metrics import METRICS
from lingraft.evaluate.suites import SUITES, loading
from lingraft.evaluate.suites.source import NoDataError, Source
from lingraft.evaluate.suites.words import WRITTEN, Words, native
from lingraft.evaluate.task import Item, Task
from lingraft.evaluate.wanted import Wanted

ALL = {**MADE, **OTHERS}
SUITE_OF = {"mmmlu": "knowledge", "ceval": "knowledge", "cmmlu": "knowledge", "hucopa": "xcopa"}
CHINESE = Words("zh", "因为", "所以", "问题", "答案", "文本", "对吧", "是", "不是", "另外")


def load(name: str, made: Made, folder: Path | None, words: Words | None = None) -> list[Task]:
    function = resolve(SUITES, SUITE_OF.get(name, name), "suite")
    language = find(made.language)
    return function(Source(language, folder), words or native(language, {}) or WRITTEN["en"], **made.options)


def squeezed(text: str) -> str:
    return " ".join(text.casefold().split())


def tasks_of(name: str, tmp_path: Path, words: Words | None = None) -> dict[str, Task]:
    return {task.name: task for task in load(name, ALL[name], save(ALL[name], tmp_path / "made"), words)}


def with_id(items: tuple[Item, ...], name: str) -> Item:
    (found,) = [item for item in items if item.id == name]
    return found


def test_every_suite_has_data_here() -> None:
    assert set(MADE) | {"starter", "translation", "harness"} == set(SUITES)
    assert len(SUITES) == 15


@pytest.mark.parametrize("name", ALL)
def test_a_suite_is_read_from_files_and_from_the_hub_alike(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ALL[name]
    from_files = load(name, made, save(made, tmp_path / "files"))
    (tmp_path / "hub").mkdir()
    save_hub(made, tmp_path / "hub")
    # Where a folder bears the name of a data set, datasets reads it instead of the hub.
    monkeypatch.chdir(tmp_path / "hub")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    from_hub = load(name, made, None)
    if name == "english":  # Belebele is left out of both, and it is said where it was looked for
        assert all("belebele is left out" in note for task in from_hub for note in task.notes[-1:])
    else:
        assert [task.identity() for task in from_hub] == [task.identity() for task in from_files]
    assert [task.items for task in from_hub] == [task.items for task in from_files]


@pytest.mark.parametrize("name", ALL)
def test_a_suite_is_the_same_each_time_and_whole(name: str, tmp_path: Path) -> None:
    folder = save(ALL[name], tmp_path)
    tasks = load(name, ALL[name], folder)
    assert [task.identity() for task in load(name, ALL[name], folder)] == [task.identity() for task in tasks]
    assert len({task.name for task in tasks}) == len(tasks) >= 1
    for task in tasks:
        assert task.suite == SUITE_OF.get(name, name)
        assert task.items
        assert task.title
        assert "http" in task.source
        assert set(task.metrics) <= set(METRICS)
        assert len({item.id for item in task.items}) == len(task.items)
        for item in (*task.items, *task.shots):
            assert all(squeezed(text) for text in (item.solved, *item.options))
            assert 0 <= item.gold < len(item.options)
            assert not item.context.endswith(" ")
            assert not any("\ufeff" in text for text in (item.context, *item.options))
        if task.kind == "choice":
            assert 0 < task.chance <= 0.5
        else:
            assert task.chance is None


@pytest.mark.parametrize("name", ALL)
def test_no_example_is_asked(name: str, tmp_path: Path) -> None:
    tasks = load(name, ALL[name], save(ALL[name], tmp_path))
    repeated = ALL[name].repeated
    for task in tasks:
        asked = {squeezed(item.context) + "|".join(sorted(map(squeezed, item.options))) for item in task.items}
        shown = {squeezed(item.context) + "|".join(sorted(map(squeezed, item.options))) for item in task.shots}
        assert not asked & shown
        assert not {item.group for item in task.items if item.group} & {item.group for item in task.shots}
        if repeated and task.shots and "xquad" not in task.name:
            # What the other part repeats is asked, and no example; the rest of the examples is there.
            assert any(repeated in squeezed(item.context) for item in task.items)
            assert not any(repeated in squeezed(shot.context) for shot in task.shots)
    if repeated:
        assert max(len(task.shots) for task in tasks if "xquad" not in task.name) == ALL[name].num_examples


def test_examples_of_data_with_one_part_have_no_neighbors_among_what_is_asked(tmp_path: Path) -> None:
    belebele = tasks_of("belebele", tmp_path / "b")["belebele-options"]
    # Six articles of two passages with two questions each: a quarter is set aside.
    assert (len(belebele.items), len(belebele.shots)) == (20, 1)
    assert "Oława" in belebele.shots[0].context
    assert not any("Oława" in item.context or "Brzeg" in item.context for item in belebele.items)
    assert len({item.group for item in belebele.items}) == 10
    assert (
        belebele.notes == ("1 articles with 4 questions give the examples and are not asked.",)
        or "4 questions" in (belebele.notes[0])
    )
    xquad = tasks_of("xquad", tmp_path / "x")["xquad"]
    assert [shot.id for shot in xquad.shots] == ["0-1", "2-1"]
    assert {item.id.split("-")[0] for item in xquad.items} == {str(number) for number in range(3, 12)}
    mmmlu = tasks_of("mmmlu", tmp_path / "m")["knowledge-mmmlu-letters"]
    assert Counter(shot.topic for shot in mmmlu.shots) == {"law": 2, "art": 2}
    assert len(mmmlu.items) == 12


def test_every_prompt_reads_as_it_was_meant(tmp_path: Path) -> None:
    def solved(name: str, task: str, item: str) -> str:
        return with_id(tasks_of(name, tmp_path / name)[task].items, item).solved

    # İ and I are two letters in Turkish; the premise loses its full stop.
    xcopa = tasks_of("xcopa", tmp_path / "xcopa")["xcopa"].items
    assert xcopa[0].solved == "Kadın 2 kez güldü çünkü ip 0 kez koptu."
    assert xcopa[1].solved == "Kadın 3 kez güldü bu yüzden ışık 1 kez söndü."
    assert solved("sib", "sib", "3") == "Tekst: Zdanie numer 3 mówi o miejscu Opole.\nTemat: podróże"
    assert solved("xstorycloze", "xstorycloze", "story-1") == (
        "Ann went to the pier with 3 bags. It rained all night. The ferry did not come. She waited 3 hours."
        " Then she ate 3 ferries."
    )
    xnli = tasks_of("xnli", tmp_path / "xnli")["xnli"].items
    assert xnli[0].solved == "रीना 2 दिन से घर पर है, है ना? हाँ, नदी 0 साल पुरानी है।"
    assert xnli[2].solved == "रीना 4 दिन से घर पर है, है ना? साथ ही, नदी 2 साल पुरानी है।"
    assert xnli[4].solved == "रीना 6 दिन से घर पर है, है ना? नहीं, नदी 4 साल पुरानी है।"
    pawsx = tasks_of("pawsx", tmp_path / "pawsx")["pawsx"].items
    assert pawsx[0].solved == "Der Bus kam 0 Minuten vor dem Zug, right? No, Der Zug 0 kam vor dem Bus."
    assert pawsx[2].solved == "Der Bus kam 2 Minuten vor dem Zug, right? Yes, Der Zug 2 kam vor dem Bus."
    (xwinograd,) = load("xwinograd", MADE["xwinograd"], save(MADE["xwinograd"], tmp_path / "w"))
    assert xwinograd.items[1].solved == "The spoon did not fit into the cup because the cup was 3 inches too long."
    assert xwinograd.items[1].answers == (" was 3 inches too long.",)
    assert solved("xquad", "xquad", "5-2") == (
        "Tekst: Most w Iława ma 8 przęseł. Zbudowano go w roku 1905.\nPytanie: Ile przęseł ma most (2)?"
        "\nOdpowiedź: 8 przęseł"
    )
    assert solved("exams", "exams-letters", "exam-Jak daleko j-1") == (
        "Pytanie: Jak daleko jest do miasta Brzeg?\nA. 3 km\nB. 21 km\nC. 201 km\nOdpowiedź: B"
    )
    assert (
        solved("exams", "exams-options", "exam-Jak daleko j-1")
        == "Pytanie: Jak daleko jest do miasta Brzeg?\nOdpowiedź: 21 km"
    )
    assert solved("belebele", "belebele-letters", "https://example.org/Brzeg 2 6") == (
        "Tekst: Miasto Nysa leży nad rzeką. Most w mieście Nysa ma 5 przęseł.\nPytanie: Pytanie 5: ile przęseł ma most?"
        "\nA. 8\nB. 9\nC. 10\nD. 11\nOdpowiedź: B"
    )
    assert solved("knowledge", "knowledge-global_mmlu-options", "art 4") == (
        "Pytanie: Które prawo ma numer 3?\nOdpowiedź: 3 d"
    )
    lambada = tasks_of("lambada", tmp_path / "lambada")["lambada"].items[0]
    assert (lambada.context, lambada.answers) == ("Ann had 2 boats.\n\nBen sold 2; the last of them was a", (" boat",))
    arc = tasks_of("english", tmp_path / "english")["english-arc-letters"].items
    assert arc[0].solved == "Question: Who has 0?\n1. 0 suns\n2. 0 moons\n3. 0 stars\n4. 0 seas\nAnswer: 3"


def test_hucopa_asks_what_has_labels_and_says_so(tmp_path: Path) -> None:
    (task,) = load("hucopa", OTHERS["hucopa"], save(OTHERS["hucopa"], tmp_path))
    assert (task.title, task.items[3].gold, len(task.shots)) == ("HuCOPA", 1, 3)
    assert task.items[0].solved == "Kadın 2 kez güldü, mert i̇p 0 kez koptu."
    assert task.notes == ("The labels of the test part are not public: the train part is asked.",)


def test_connectors_have_the_comma_of_their_language() -> None:
    assert WRITTEN["pl"].joined("Padało", WRITTEN["pl"].therefore) == "Padało, dlatego"
    assert WRITTEN["hu"].joined("Elkésett", WRITTEN["hu"].because) == "Elkésett, mert"
    assert WRITTEN["en"].joined("It rained", WRITTEN["en"].therefore) == "It rained therefore"


def test_where_words_are_not_divided_no_answer_has_a_space(tmp_path: Path) -> None:
    made = MADE["xstorycloze"]
    rows = [{**row, "sentence_quiz1": "她回家了。", "sentence_quiz2": "她吃了船。"} for row in made.parts[0].rows]
    for row in rows:
        row.update({f"input_sentence_{number}": f"第{row['story_id'][6:]}次下雨了。" for number in range(1, 5)})
    for part in ("eval", "train"):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (tmp_path / f"zho.{part}.jsonl").write_text(lines, encoding="utf-8")
    source = Source(find("zh"), tmp_path)
    (story,) = resolve(SUITES, "xstorycloze", "suite")(source, WRITTEN["en"])
    assert story.items[0].solved == "第0次下雨了。" * 4 + "她回家了。"

    (xcopa,) = load("xcopa", MADE["xcopa"], save(MADE["xcopa"], tmp_path / "x"), CHINESE)
    assert xcopa.items[0].solved == "Kadın 2 kez güldü因为ip 0 kez koptu."
    for name in ("ceval", "belebele", "sib"):
        for task in load(name, ALL[name], save(ALL[name], tmp_path / name), CHINESE):
            assert not any(answer.startswith(" ") for item in (*task.items, *task.shots) for answer in item.answers)
    # It is the prompt that an answer follows: after English words there is a space.
    for task in load("ceval", OTHERS["ceval"], tmp_path / "ceval"):
        assert all(answer.startswith(" ") for item in task.items for answer in item.answers)


def test_examples_show_every_label_first(tmp_path: Path) -> None:
    sib = tasks_of("sib", tmp_path / "s")["sib"]
    assert [shot.gold for shot in sib.shots[:8]] == [0, 1, 2, 3, 4, 5, 6, 0]
    xnli = tasks_of("xnli", tmp_path / "n")["xnli"]
    assert [shot.gold for shot in xnli.shots[:6]] == [0, 1, 2, 0, 1, 2]
    assert [shot.gold for shot in tasks_of("pawsx", tmp_path / "p")["pawsx"].shots[:4]] == [0, 1, 0, 1]


def test_examples_of_a_subject_are_its_own(tmp_path: Path) -> None:
    letters = tasks_of("ceval", tmp_path)["knowledge-ceval-letters"]
    assert [(item.topic, item.id) for item in letters.shots] == [("art", "art 2"), ("law", "law 2")]
    art = letters.by_topic()["art"]
    assert all("幅画" in item.context for item in (*art.items, *art.shots))
    assert len(letters.reduced(None, 0).shots) == 0
    reduced = tasks_of("mmmlu", tmp_path / "m")["knowledge-mmmlu-options"].reduced(4, 1)
    assert [shot.topic for shot in reduced.shots] == ["law", "art"]


@pytest.mark.parametrize("lists_outside", [True, False])
def test_exams_are_read_in_the_columns_of_the_hub(lists_outside: bool, tmp_path: Path) -> None:
    def of_hub(row: dict[str, Any], language: str) -> dict[str, Any]:
        choices: Any = {"text": row["choices"], "label": row["labels"]}
        if lists_outside:
            choices = [dict(zip(choices, values, strict=True)) for values in zip(*choices.values(), strict=True)]
        return {
            "id": row["id"],
            "question": {"stem": row["question"], "choices": choices},
            "answerKey": row["answer"],
            "info": {"grade": 12, "subject": "Geography", "language": language},
        }

    made = MADE["exams"]
    for part in made.parts:
        rows = [of_hub(row, language) for row in part.rows for language in ("Hungarian", "Polish")]
        (tmp_path / f"{part.file}.json").write_text(json.dumps(rows), encoding="utf-8")
    asked = [task.items for task in load("exams", made, tmp_path)]
    assert asked == [task.items for task in load("exams", made, save(made, tmp_path / "files"))]
    turkish = Made("tr", made.parts)
    for part in made.parts:
        (tmp_path / part.file.replace("pol", "tur")).with_suffix(f".{part.file[4:]}.json").write_text(
            (tmp_path / f"{part.file}.json").read_text(encoding="utf-8"), encoding="utf-8"
        )
    with pytest.raises(NoDataError, match="no Turkish in this suite's data: no row is in Turkish"):
        load("exams", turkish, tmp_path)


@pytest.mark.parametrize("objects", [True, False])
def test_xquad_is_read_with_its_questions_below_the_paragraph(objects: bool, tmp_path: Path) -> None:
    made = MADE["xquad"]
    below: dict[str, list[dict[str, Any]]] = {}
    for row in made.parts[0].rows:
        answers = [{"text": text} if objects else text for text in row["answers"]["text"]]
        asked = {"id": row["id"], "question": row["question"], "answers": answers}
        below.setdefault(row["context"], []).append(asked)
    lines = "".join(json.dumps({"context": text, "qas": asked}) + "\n" for text, asked in below.items())
    (tmp_path / "pol.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    assert load("xquad", made, tmp_path) == load("xquad", made, save(made, tmp_path / "files"))


def test_tables_with_tabs_and_with_commas_are_read(tmp_path: Path) -> None:
    made = MADE["pawsx"]
    (tmp_path / "de").mkdir()
    for part in made.parts:
        lines = ["\t".join(part.rows[0])] + ["\t".join(str(value) for value in row.values()) for row in part.rows]
        (tmp_path / f"{part.file}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert load("pawsx", made, tmp_path) == load("pawsx", made, save(made, tmp_path / "files"))
    for place in ("val/law_val", "dev/law_dev"):
        (tmp_path / place).parent.mkdir()
        table = f'id,question,A,B,C,D,answer\n0,"{place}, ""题""",1,2,3,4,B\n'
        (tmp_path / f"{place}.csv").write_text(table, encoding="utf-8")
    options = load("ceval", OTHERS["ceval"], tmp_path)[1]
    assert options.items[0].solved == 'Question: val/law_val, "题"\nAnswer: 2'


def test_pairs_that_were_never_translated_are_left_out_and_said(tmp_path: Path) -> None:
    made = with_value(MADE["pawsx"], "sentence2", 0, "")
    (task,) = load("pawsx", made, save(made, tmp_path))
    assert (len(task.items), task.notes) == (7, ("Left out: 1 pairs without a translation.",))


def test_items_with_two_options_alike_are_asked_by_letter_only(tmp_path: Path) -> None:
    made = with_value(MADE["exams"], "choices", 0, ["21 km", "21 km", "2 km"])
    letters, options = load("exams", made, save(made, tmp_path))
    assert (len(letters.items), letters.notes) == (7, ())
    assert (len(options.items), options.notes) == (
        6,
        ("Left out: 1 items with the right answer among the options twice.",),
    )


def test_topics_have_names_in_the_language_of_the_prompt(tmp_path: Path) -> None:
    folder = save(MADE["sib"], tmp_path)
    own = {"topic": "Tema", "travel": "viajes"}
    sib = resolve(SUITES, "sib", "suite")
    spanish = Words("es", *(["x"] * 9))
    (task,) = sib(Source(find("pl"), folder), spanish, topics=own)
    assert task.items[3].solved.endswith("\nTema: viajes")
    assert task.notes == ("The topics have English names: `topics` can give others.",)
    (task,) = sib(Source(find("pl"), folder), WRITTEN["en"])
    assert task.notes == ()
    with pytest.raises(RecipeError, match=r'no topic "sport"(.|\n)*Did you mean "sports"'):
        sib(Source(find("pl"), folder), WRITTEN["pl"], topics={"sport": "x"})


def test_english_has_the_parts_that_are_there(tmp_path: Path) -> None:
    tasks = tasks_of("english", tmp_path)
    assert list(tasks) == ["english-lambada", "english-xquad", "english-arc-letters", "english-arc-options"]
    for task in tasks.values():
        assert (task.language, task.prompt_language) == ("en", "en")
        assert task.notes[-1].startswith("belebele is left out: there is no English in this suite's data: no eng_Latn")
    with pytest.raises(NoDataError, match=r"none of the parts is there\. lambada is left out: (.|\n)*arc is left out"):
        load("english", MADE["english"], tmp_path)


def test_what_has_no_prompt_is_asked_once(tmp_path: Path) -> None:
    both = ("native", "english")
    save(MADE["english"], tmp_path)
    named = [task.name for task in loading.load(Wanted("english", tmp_path, prompts=both), find("pl"))]
    assert named == ["english-lambada", "english-xquad", "english-arc-letters", "english-arc-options"]
    # Of a language without prompts only what is asked in English says so.
    (story,) = loading.load(Wanted("xstorycloze", save(swahili("xstorycloze", "swa"), tmp_path)), find("sw"))
    assert (story.name, story.notes) == ("xstorycloze", ())
    (xcopa,) = loading.load(Wanted("xcopa", save(swahili("xcopa", "swa"), tmp_path)), find("sw"))
    assert xcopa.name == "xcopa@en"
    assert xcopa.notes == ("There are no prompts in Swahili yet: it is asked in English.",)


def swahili(name: str, code: str) -> Made:
    return Made("sw", [replace(part, file=code + part.file[3:]) for part in MADE[name].parts])


@pytest.mark.parametrize("name", ALL)
def test_a_language_without_data_is_said(name: str, tmp_path: Path) -> None:
    save(ALL[name], tmp_path)
    with pytest.raises(NoDataError, match=r"there is no \w+ in this suite's data: |none of the parts is there") as said:
        load(name, Made("ko", [], ALL[name].options), tmp_path / "nowhere")
    assert "docs/suites.md" in str(said.value)


@pytest.mark.parametrize("name", ALL)
def test_a_data_set_the_hub_does_not_give_is_said(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoDataError, match=r"gives no|none of the parts"):
        load(name, ALL[name], None)


def test_a_data_set_that_is_a_program_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cambridgeltl" / "xcopa").mkdir(parents=True)
    (tmp_path / "cambridgeltl" / "xcopa" / "xcopa.py").write_text("raise SystemExit", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoDataError, match=r"scripts are no longer supported(.|\n)*set `data` to a folder"):
        load("xcopa", MADE["xcopa"], None)


REQUIRED = [
    (name, number, column)
    for name, made in ALL.items()
    for number, part in enumerate(made.parts)
    for column in part.rows[0]
    if name != "english"
]


@pytest.mark.parametrize(("name", "part", "column"), REQUIRED)
def test_a_row_without_a_column_is_named(name: str, part: int, column: str, tmp_path: Path) -> None:
    made = without(ALL[name], column, part)
    with pytest.raises(InputError, match=rf'row 2 has no column "{column}" \(it has ') as said:
        load(name, made, save(made, tmp_path))
    assert Path(said.value.where).name == f"{Path(made.parts[part].file).name}.jsonl"


@pytest.mark.parametrize(
    ("name", "part"),
    [(name, n) for name, made in ALL.items() for n, part in enumerate(made.parts) if part.label and name != "english"],
)
@pytest.mark.parametrize("label", ["Z", 17, None])
def test_a_label_that_is_none_is_named(name: str, part: int, label: Any, tmp_path: Path) -> None:
    made = with_value(ALL[name], ALL[name].parts[part].label, part, label)
    with pytest.raises(InputError, match=rf'row 2 has \'{label}\' as "\w+", which is none of '):
        load(name, made, save(made, tmp_path))


@pytest.mark.parametrize(
    ("name", "column", "value", "what"),
    [
        ("xcopa", "premise", "  ", 'has no text in "premise"'),
        ("xcopa", "premise", 3, 'has no text in "premise"'),
        ("xwinograd", "sentence", "There is none.", 'has no blank "_"'),
        ("xwinograd", "sentence", "It ends in _", 'has no blank "_"'),
        ("lambada", "text", "boat", "has one word only"),
        ("exams", "choices", "2 km", 'has no list of texts in "choices"'),
        ("exams", "choices", ["2 km"], "has 3 labels and 1 options"),
        ("exams", "question", 3, 'has no columns within "question"'),
        ("xquad", "answers", {"text": []}, 'has no list of texts in "answers.text"'),
        ("xquad", "answers", [{"text": "8"}, 3], 'has no list of texts in "answers.text"'),
    ],
)
def test_what_is_wrong_with_a_row_is_said(name: str, column: str, value: Any, what: str, tmp_path: Path) -> None:
    made = with_value(MADE[name], column, 0, value)
    with pytest.raises(InputError, match=rf"jsonl: row 2 {re.escape(what)}(.|\n)*docs/suites\.md"):
        load(name, made, save(made, tmp_path))


@pytest.mark.parametrize("label", [0, "0"])
def test_a_number_is_a_place_only_where_labels_are_no_numbers(label: Any, tmp_path: Path) -> None:
    made = with_value(MADE["belebele"], "correct_answer_num", 0, label)
    with pytest.raises(InputError, match="row 2 has '0' as \"correct_answer_num\", which is none of 1, 2, 3, 4"):
        load("belebele", made, save(made, tmp_path))
    made = with_value(MADE["xnli"], "label", 0, label)
    (by_place,) = load("xnli", made, save(made, tmp_path / "place"))
    made = with_value(MADE["xnli"], "label", 0, "entailment")
    (by_name,) = load("xnli", made, save(made, tmp_path / "name"))
    assert by_place.items[1].gold == by_name.items[1].gold == 0


def test_files_that_are_no_tables_are_said(tmp_path: Path) -> None:
    source = Source(find("en"), tmp_path)
    (tmp_path / "eng.jsonl").write_text('["a list"]\n', encoding="utf-8")
    with pytest.raises(InputError, match="row 1 is not an object with columns"):
        source.rows("{iso3}", hub="x")
    (tmp_path / "eng.jsonl").write_text("{broken\n", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        source.rows("{iso3}", hub="x")
    (tmp_path / "eng.jsonl").write_text("\n", encoding="utf-8")
    with pytest.raises(NoDataError, match="there is not one row"):
        source.rows("{iso3}", hub="x")
    (tmp_path / "eng.jsonl").unlink()
    (tmp_path / "eng.tsv.gz").write_bytes(b"not gzip")
    with pytest.raises(InputError, match="cannot be read"):
        source.rows("{iso3}", hub="x")


def two_sides(folder: Path, part: str, here: list[Any], there: list[Any]) -> Path:
    """Sentences in Polish and in English: lines of text, or rows where one is no text."""
    folder.mkdir(exist_ok=True)
    for code, texts in (("pol", here), ("eng", there)):
        if all(isinstance(text, str) for text in texts):
            (folder / f"{code}{part}.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        else:
            rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
            (folder / f"{code}{part}.jsonl").write_text(rows, encoding="utf-8")
    return folder


def numbered(count: int) -> list[str]:
    return [f"Zdanie {number}" for number in range(count)]


def test_translation_takes_the_form_whose_files_are_there(tmp_path: Path) -> None:
    def asked(folder: Path) -> list[Task]:
        return loading.load(Wanted("translation", folder), find("pl"))

    alone = two_sides(tmp_path / "alone", "", numbered(12), numbered(12))
    assert [len(task.items) for task in asked(alone)] == [2, 2]
    flores = two_sides(tmp_path / "flores", ".devtest", numbered(9), numbered(9))
    with pytest.raises(NoDataError, match=r"no pol\.dev\{"):
        asked(flores)
    two_sides(flores, ".dev", ["Inne", "", "Nowe"], ["Other", "One", "New"])
    assert [(len(task.items), len(task.shots)) for task in asked(flores)] == [(9, 2), (9, 2)]
    two_sides(flores, ".devtest", numbered(9), numbered(8))
    with pytest.raises(InputError, match=r"pol\.devtest\.txt: the two sides have 9 and 8 lines") as said:
        asked(flores)
    assert not isinstance(said.value, NoDataError)


def test_a_sentence_that_is_no_text_is_said(tmp_path: Path) -> None:
    two_sides(tmp_path / "null", "", [*numbered(11), None], numbered(12))
    with pytest.raises(InputError, match=r'pol\.jsonl: row 12 has no text in "text" \(None\)'):
        loading.load(Wanted("translation", tmp_path / "null"), find("pl"))


def test_a_task_without_an_item_is_missing(tmp_path: Path) -> None:
    two_sides(tmp_path / "few", "", numbered(9), numbered(9))
    _, missing = loading.tasks_of([Wanted("translation", tmp_path / "few")], find("pl"))
    assert "no Polish in this suite's data: translation-pl-en is left without an item to ask." in missing[0].why
    made = MADE["pawsx"]
    empty = replace(
        made, parts=[replace(part, rows=[{**r, "sentence2": ""} for r in part.rows]) for part in made.parts]
    )
    with pytest.raises(NoDataError, match="pawsx is left without an item to ask"):
        loading.load(Wanted("pawsx", save(empty, tmp_path / "empty")), find("de"))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[{"id": 1, "context": "c", "qas": ["x"]}]', r'row 1 has no list of questions in "qas" \(\[\'x\'\]\)'),
        ('[{"id": 1, "context": "c", "qas": 5}]', r'row 1 has no list of questions in "qas" \(5\)'),
        ("5", "this file cannot be read: it holds no list of rows"),
        ('{"version": 1, "data": []}', "this file cannot be read: it holds no list of rows"),
    ],
)
def test_json_in_another_form_is_said(text: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "pol.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"pol\.json: {what}"):
        load("xquad", MADE["xquad"], tmp_path)


def test_codes_are_those_of_the_data_sets() -> None:
    assert Source(find("ar")).codes == {"iso1": "ar", "iso3": "ara", "flores": "arb_Arab", "name": "Arabic"}
    flores = {tag: Source(find(tag)).codes["flores"] for tag in ("pl", "zh", "fa", "sw", "lv", "et", "hi")}
    assert list(flores.values()) == [
        "pol_Latn",
        "zho_Hans",
        "pes_Arab",
        "swh_Latn",
        "lvs_Latn",
        "est_Latn",
        "hin_Deva",
    ]


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_says_what_it_is(name: str) -> None:
    told = inspect.getdoc(resolve(SUITES, name, "suite"))
    labels = re.findall(r"^(\w+): ", told, re.MULTILINE)
    assert labels == ["Languages", "Metric", "Shots", "Files", "Hub"]


DATA = os.environ.get("LINGRAFT_DATA")


@pytest.mark.skipif(DATA is None, reason="LINGRAFT_DATA does not name the folder with the real data")
@pytest.mark.parametrize(
    ("name", "folder", "language", "items", "shots"),
    [
        ("exams", "bench/exams", "pl", (986, 986), (246, 246)),
        ("exams", "bench/exams", "hu", (1297, 1295), (261, 261)),
        ("exams", "bench/exams", "tr", (977, 975), (240, 240)),
        ("xcopa", "bench/xcopa", "tr", (500,), (100,)),
        ("xcopa", "bench/hulu", "hu", (400,), (100,)),
        ("xquad", "bench/xquad", "en", (1093,), (5,)),
        ("xquad", "bench/xquad", "tr", (1093,), (5,)),
        ("xquad", "bench/xquad", "hi", (1093,), (5,)),
        ("lambada", "bench/lambada", "en", (5153,), (0,)),
        ("english", "bench", "pl", (5153, 1093), (0, 5)),
        ("translation", "parallel/ntrex", "pl", (1987, 1987), (5, 5)),
        ("translation", "parallel/ntrex", "hu", (1987, 1987), (5, 5)),
        ("translation", "parallel/ntrex", "tr", (1987, 1987), (5, 5)),
        ("translation", "parallel/ntrex", "hi", (1987, 1987), (5, 5)),
    ],
)
def test_the_real_data_is_read_whole(
    name: str, folder: str, language: str, items: tuple[int, ...], shots: tuple[int, ...]
) -> None:
    tasks = load(name, Made(language, []), Path(DATA) / folder)
    assert tuple(len(task.items) for task in tasks) == items
    assert tuple(len(task.shots) for task in tasks) == shots
    for task in tasks:
        if task.kind == "choice":
            golds = Counter(item.gold for item in task.items)
            # No option is right far more often than by chance.
            assert max(golds.values()) / len(task.items) < task.chance + 0.05
        assert not {item.solved for item in task.items} & {shot.solved for shot in task.shots}
