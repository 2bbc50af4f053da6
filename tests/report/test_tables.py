import pytest

from lingraft.report.tables import (
    Piece,
    comparisons,
    environments,
    export_gate,
    gain_curve,
    models,
    peak_memory,
    pieces,
    tokenizer_proofs,
)


def test_comparisons_put_all_sources_first_and_models_in_order(report):
    report["evaluation"]["bits"].reverse()
    target, replay = comparisons(report)
    assert list(target.sources) == ["all", "news", "novels"]
    assert list(replay.sources) == ["all", "novels"]
    assert [(row["model"], row["role"], row["verdict"]) for row in target.sources["all"]] == [
        ("base", "base", ""),
        ("graft", "between", "worse"),
        ("pretrain", "adapted", "better"),
    ]


def test_models_without_figures_have_no_row(report):
    report["evaluation"]["models"].append("sft")
    assert [row["model"] for row in models(report)] == ["base", "graft", "pretrain"]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["a", " b"], [Piece("a", 1), Piece(" b", 1)]),
        (["ś", "", "c"], [Piece("ś", 2), Piece("c", 1)]),
        (["", "", "ś"], [Piece("ś", 3)]),
        ([], []),
    ],
)
def test_pieces_keep_the_text_and_count_every_token(tokens, expected):
    assert pieces(tokens) == expected
    assert "".join(piece.text for piece in pieces(tokens)) == "".join(tokens)


def test_proofs_tell_conditions_from_figures(report):
    proofs = tokenizer_proofs(report["tokenizer"]["proofs"])
    assert [proof.holds for proof in proofs] == [True] * 6 + [None]
    assert proofs[-1].found == "9 of 512 documents (1.8%), +0.01% tokens"


def test_bars_of_the_gain_curve_are_parts_of_the_longest(report):
    assert [point["length"] for point in gain_curve(report["tokenizer"]["text"]["curve"])] == [52.1, 91.3, 100.0]


def test_proofs_without_replay_text(report):
    report["tokenizer"]["proofs"].update(
        replay_documents=0, replay_documents_resegmented=0, replay_token_change=None, chat_template_unchanged=False
    )
    proofs = tokenizer_proofs(report["tokenizer"]["proofs"])
    assert proofs[-2].holds is False
    assert proofs[-1].found == "0 of 0 documents, – tokens"


def test_the_gate(report):
    assert [proof.holds for proof in export_gate(report["export"]["gate"])] == [True, False]


def test_steps_of_one_machine_stand_together(report):
    steps = report["steps"]
    steps[4] = {**steps[4], "versions": {"torch": "2.12.0"}}
    assert [environment.steps for environment in environments(steps)] == [
        [step["name"] for number, step in enumerate(steps) if number != 4],
        ["pretrain"],
    ]


def test_peak_memory_is_of_the_device_or_else_of_the_process(report):
    (training,) = report["training"]
    assert peak_memory(report, training) == 5_120_000_000
    training["figures"]["device_memory_bytes"] = None
    assert peak_memory(report, training) == 3_412_000_000
    assert peak_memory(report, {**training, "name": "elsewhere"}) is None
