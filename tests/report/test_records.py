"""Conversations and preferences on the page: what was kept and what was left out, in words."""

from made_alignment import translation
from outline import HOSTILE, outline, sections, told

from lingraft.report import records, write


def test_the_page_lists_streams_and_reasons(aligned, tmp_path):
    page = write(aligned, tmp_path).read_text(encoding="utf-8")
    outline(page)
    assert "conversations" in sections(page)
    shown = told(page)
    for said in [
        "217 in the language, 7 too short to tell",
        "median 166 bytes, longest 296 bytes",
        "the chosen one is longer in 46%",
        "pl: 214 of 218 kept · en: 82 of 82 kept",
        "3 × a duplicate 1 × longer than the limit",
        "2 × letters and their accents composed (NFC)",
        "Chat template of sft zephyr takes system messages",
        "Chat template of dpo the model’s own",
    ]:
        assert said in shown, said


def test_without_records_there_is_no_section(aligned, tmp_path):
    del aligned["records"]
    assert "conversations" not in sections(write(aligned, tmp_path).read_text(encoding="utf-8"))


def test_many_left_out_are_warned_of(aligned):
    assert records.warnings(aligned) == []
    aligned["records"][0]["figures"]["sources"][0].update({"kept": 190, "a prompt in another language": 24})
    assert records.warnings(aligned) == [
        "28 of 218 Polish records of conversations (13%) were left out: 3 × a duplicate, 1 × longer than the limit, "
        "24 × a prompt in another language."
    ]


def test_a_translation_is_told_apart_from_what_it_read(aligned, tmp_path):
    aligned["records"].append(translation())
    assert records.warnings(aligned) == []
    assert "80 of 82 records, median chrF++ of the way back 61.4" in told(
        write(aligned, tmp_path).read_text(encoding="utf-8")
    )
    aligned["records"][-1] = translation(translated=70)
    assert records.warnings(aligned) == ["12 of 82 translations of more (15%) were left out: 12 × not translated."]
    assert records.translated({"translation": {"translated": 3, "records": 4, "back": None}}) == "3 of 4 records"


def test_steps_of_a_kind_all_stand_there(aligned, tmp_path):
    aligned["records"].insert(1, {**aligned["records"][0], "name": f"other {HOSTILE}"})
    page = write(aligned, tmp_path).read_text(encoding="utf-8")
    assert "img" not in outline(page).tags
    assert told(page).count("217 in the language, 7 too short to tell") == 2


def test_hostile_reasons_and_sources_stay_text(aligned, tmp_path):
    figures = aligned["records"][0]["figures"]
    figures["quarantined"] = {HOSTILE: 1}
    figures["sources"][0].update(source=HOSTILE, kept=0)
    assert "img" not in outline(write(aligned, tmp_path).read_text(encoding="utf-8")).tags


def test_an_empty_stream_has_no_lengths():
    assert records.lengths({"answer_bytes": {}}) == ""
    assert records.languages({}) == ""


def test_what_became_of_the_models_own_answers(aligned, tmp_path):
    became = {"pairs": 31, "preferred by order": 9}
    aligned["records"][1]["figures"]["on_policy"] = {"prompts": 40, "judge": HOSTILE, "became": became, "verdicts": {}}
    page = write(aligned, tmp_path).read_text(encoding="utf-8")
    assert "img" not in outline(page).tags
    assert "of 40 prompts, judged by <" in records.on_policy(aligned["records"][1]["figures"]).replace("</", "<")
    assert ": 31 pairs, 9 preferred by order" in told(page)
