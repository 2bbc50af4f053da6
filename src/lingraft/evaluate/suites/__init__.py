"""Suites of tasks by name: each a function of the data's source and the words of the prompt."""

from collections.abc import Mapping

SUITES: Mapping[str, str] = {
    "starter": "lingraft.evaluate.suites.starter:starter",
    "translation": "lingraft.evaluate.suites.translation:translation",
    "belebele": "lingraft.evaluate.suites.belebele:belebele",
    "sib": "lingraft.evaluate.suites.sib:sib",
    "xcopa": "lingraft.evaluate.suites.xcopa:xcopa",
    "xstorycloze": "lingraft.evaluate.suites.xstorycloze:xstorycloze",
    "xwinograd": "lingraft.evaluate.suites.xwinograd:xwinograd",
    "xnli": "lingraft.evaluate.suites.xnli:xnli",
    "pawsx": "lingraft.evaluate.suites.pawsx:pawsx",
    "xquad": "lingraft.evaluate.suites.xquad:xquad",
    "exams": "lingraft.evaluate.suites.exams:exams",
    "knowledge": "lingraft.evaluate.suites.knowledge:knowledge",
    "lambada": "lingraft.evaluate.suites.lambada:lambada",
    "english": "lingraft.evaluate.suites.english:english",
    "harness": "lingraft.evaluate.suites.harness_tasks:harness",
}
"""Name -> "module:function"."""
