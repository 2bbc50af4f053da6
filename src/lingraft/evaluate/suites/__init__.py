"""Suites of tasks by name: each a function of the data's source and the words of the prompt."""

from collections.abc import Mapping

SUITES: Mapping[str, str] = {
    "starter": "lingraft.evaluate.suites.starter:starter",
    "translation": "lingraft.evaluate.suites.translation:translation",
    "xcopa": "lingraft.evaluate.suites.xcopa:xcopa",
    "exams": "lingraft.evaluate.suites.exams:exams",
    "harness": "lingraft.evaluate.suites.harness_tasks:harness",
}
"""Name -> "module:function"."""
