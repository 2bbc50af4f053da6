"""Knowledge of school and university subjects: MMLU in other languages, and the Chinese C-Eval and CMMLU."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lingraft.evaluate.task import Task, set_aside

from .choice import Question, both_ways
from .source import Row, Source
from .words import Words

Benchmark = Literal["global_mmlu", "mmmlu", "ceval", "cmmlu"]
LABELS = ("A", "B", "C", "D")
NUM_SHOTS = 5


@dataclass(frozen=True)
class _Form:
    """How one of the benchmarks is laid out."""

    title: str
    paper: str
    hub: str
    asked: tuple[str, str]
    """The file and the split that are asked; `{part}` in a file's name is a subject."""
    examples: tuple[str, str] | None
    question: str
    options: tuple[str, str, str, str]
    answer: str
    subject: str = ""
    """The column; else a subject is a file, or a config on the hub."""
    config: str = "{iso1}"
    """Empty for that of `REGIONS`."""


FORMS: Mapping[Benchmark, _Form] = {
    "global_mmlu": _Form(
        "Global-MMLU",
        "Singh et al. 2025, https://arxiv.org/abs/2412.03304 (CohereLabs/Global-MMLU)",
        "CohereLabs/Global-MMLU",
        ("{iso3}.test", "test"),
        ("{iso3}.dev", "dev"),
        "question",
        ("option_a", "option_b", "option_c", "option_d"),
        "answer",
        "subject",
    ),
    "mmmlu": _Form(
        "MMMLU",
        "Hendrycks et al. 2021, https://arxiv.org/abs/2009.03300, translated by OpenAI (openai/MMMLU)",
        "openai/MMMLU",
        ("{iso3}", "test"),
        None,
        "Question",
        LABELS,
        "Answer",
        "Subject",
        "",
    ),
    "ceval": _Form(
        "C-Eval",
        "Huang et al. 2023, https://arxiv.org/abs/2305.08322 (ceval/ceval-exam)",
        "ceval/ceval-exam",
        ("val/{part}_val", "val"),
        ("dev/{part}_dev", "dev"),
        "question",
        LABELS,
        "answer",
    ),
    "cmmlu": _Form(
        "CMMLU",
        "Li et al. 2024, https://arxiv.org/abs/2306.09212 (haonan-li/cmmlu)",
        "haonan-li/cmmlu",
        ("test/{part}", "test"),
        ("dev/{part}", "dev"),
        "Question",
        LABELS,
        "Answer",
    ),
}
PAPER = "; ".join(form.paper for form in FORMS.values())
REGIONS = {
    "ar": "AR_XY",
    "bn": "BN_BD",
    "de": "DE_DE",
    "es": "ES_LA",
    "fr": "FR_FR",
    "hi": "HI_IN",
    "id": "ID_ID",
    "it": "IT_IT",
    "ja": "JA_JP",
    "ko": "KO_KR",
    "pt": "PT_BR",
    "sw": "SW_KE",
    "yo": "YO_NG",
    "zh": "ZH_CN",
}
"""The configs of MMMLU."""


def knowledge(source: Source, words: Words, *, benchmark: Benchmark = "global_mmlu") -> list[Task]:
    """Questions of up to 67 subjects with four options, asked by letter and by the text of the option.

    Before each question stand solved ones of its own subject, as in the papers. The figure is over all questions, as
    Hendrycks et al. have it; C-Eval and CMMLU are published as a mean over subjects.

    Languages: Global-MMLU 42 and MMMLU 14; C-Eval and CMMLU Chinese
    Metric: accuracy of the likeliest letter (as the papers ask), and of the likeliest option
    Shots: five of each subject from dev; MMMLU has no dev, so the first of each subject, which are not asked
    Files: global_mmlu: `{iso3}.test`, `{iso3}.dev` with question, option_a to option_d, answer and subject; mmmlu:
    `{iso3}` with Question, A to D, Answer and Subject; ceval: `val/SUBJECT_val`, `dev/SUBJECT_dev` with question, A to
    D and answer; cmmlu: `test/SUBJECT`, `dev/SUBJECT` with Question, A to D and Answer
    Hub: CohereLabs/Global-MMLU `{iso1}`, openai/MMMLU `PT_BR`, ceval/ceval-exam and haonan-li/cmmlu by subject
    """
    form = FORMS[benchmark]
    asked = _questions(source, form, *form.asked)
    notes: tuple[str, ...] = ()
    if form.examples:
        examples = _questions(source, form, *form.examples)
    else:
        examples, asked = _aside(asked)
        notes = (f"There is no dev part: {len(examples)} of the questions give the examples and are not asked.",)
    return both_ways(
        f"knowledge-{benchmark}", form.title, source, words, asked, examples, form.paper, notes, suite="knowledge"
    )


def _aside(questions: list[Question]) -> tuple[list[Question], list[Question]]:
    examples: list[Question] = []
    asked: list[Question] = []
    for subject in dict.fromkeys(question.topic for question in questions):
        of_subject = [question for question in questions if question.topic == subject]
        first, rest = set_aside(of_subject, NUM_SHOTS, by=lambda question: question.id)
        examples += first
        asked += rest
    return examples, asked


def _questions(source: Source, form: _Form, file: str, split: str) -> list[Question]:
    if form.subject:
        config = form.config or REGIONS.get(source.codes["iso1"], source.codes["iso1"])
        parts = [(row.text(form.subject), row) for row in source.rows(file, hub=form.hub, config=config, split=split)]
    else:
        if source.codes["iso1"] != "zh":
            raise source.nothing(f"{form.title} is in Chinese")
        parts = [
            (subject, row)
            for subject in source.parts(file, hub=form.hub)
            for row in source.rows(file.format(part=subject), hub=form.hub, config=subject, split=split)
        ]
    return [_question(row, form, subject) for subject, row in parts]


def _question(row: Row, form: _Form, subject: str) -> Question:
    return Question(
        f"{subject} {row.number}",
        row.text(form.question),
        tuple(row.text(option) for option in form.options),
        row.index(form.answer, LABELS),
        topic=subject,
    )
