"""How a model was made to answer, as paragraphs of a model card."""

from lingraft.report import answering


def test_each_training_is_a_paragraph_and_the_first_gave_the_template(aligned):
    assert answering(aligned) == [
        "Fine-tuned on 194 Polish and 62 English conversations, on what the assistant says in them. "
        r"Held-out Polish answers: 2.919 \[2.833, 3.005\] bits per byte before, 2.729 \[2.643, 2.815\] after. "
        r"Held-out English answers: 2.012 \[1.930, 2.094\] bits per byte before, 1.992 \[1.910, 2.074\] after.",
        "Trained on 94 Polish and 20 English preferences by dpo with beta 0.1. "
        r"Of held-out Polish pairs it prefers the chosen answer in 75% \[55%, 95%\] of 20. "
        r"Of held-out English pairs it prefers the chosen answer in 71% \[51%, 91%\] of 20.",
        "Chat template: zephyr; it takes system messages.",
    ]


def test_pretraining_alone_makes_no_model_that_answers(report):
    assert answering(report) == []


def test_single_answers_count_where_there_are_no_pairs(aligned):
    figures = aligned["training"][-1]["figures"]
    figures["held_out"] = {}
    figures["streams"] = {"target": {**figures["streams"]["target"], "pairs": 0, "judged": 188}}
    figures["template"].update(name="own", takes_system=False)
    figures["loss"] = "k*o"
    aligned["training"] = aligned["training"][-1:]
    assert answering(aligned) == [
        r"Trained on 188 Polish preferences by k\*o with beta 0.1.",
        "Chat template: its base's own; it takes no system messages.",
    ]
