"""Tasks put to a model by EleutherAI's lm-evaluation-harness, with scoring and writing of our own beneath it.

The harness sets the prompts together and asks; what it asks for is answered here: likelihoods right where a token
spans context and answer, one reading of a context for all its answers, and texts that end where they should.
"""

import contextlib
import math
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import datasets
from lm_eval import evaluator
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.task import ConfigurableTask

from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress

from . import bits, likelihood
from .defined import as_it_counts, defined, places, quiet
from .generate import Loaded, write_until
from .likelihood import Question, Score
from .metrics import bleu_counts, chrf_counts, is_exact, right, word_f1
from .task import Answer, Item, Task

_SPLIT, _SHOTS = "asked", "shots"


class Asked(LM):
    """A model as the harness asks it."""

    def __init__(
        self, loaded: Loaded, *, context_tokens: int, chat: bool = False, bos: bool = True, progress: Progress = SILENT
    ) -> None:
        super().__init__()
        self._loaded, self._context_tokens, self._chat, self._bos = loaded, context_tokens, chat, bos
        self._progress = progress
        self.screen: TextIO = sys.stderr
        """Where progress is shown while the harness is kept quiet."""
        self.scores: dict[tuple[str, str], Score] = {}
        """Of every context and answer that was asked for."""
        self.cut: dict[str, int] = {}
        """Tokens that were left out at the beginning of a context before a text was written."""

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """The natural logarithm of the likelihood of each answer, and whether it is what greedy decoding writes."""
        answers: dict[str, list[str]] = {}
        for request in requests:
            context, answer = request.args
            if answer not in answers.setdefault(context, []):
                answers[context].append(answer)
        questions = [Question(context, tuple(of_context)) for context, of_context in answers.items()]
        with contextlib.redirect_stderr(self.screen):
            scored = likelihood.score(
                self._loaded.model,
                self._loaded.tokenizer,
                questions,
                context_tokens=self._context_tokens,
                bos=self._bos and not self._chat,
                special_tokens=self._chat,
                progress=self._progress,
            )
        for question, scores in zip(questions, scored, strict=True):
            self.scores.update({(question.context, a): s for a, s in zip(question.answers, scores, strict=True)})
        found = (self.scores[request.args] for request in requests)
        return [(score.logprob, score.is_greedy) for score in found]

    def loglikelihood_rolling(self, requests: Sequence[Instance]) -> list[float]:
        """The natural logarithm of the likelihood of each whole text."""
        texts = [request.args[0] for request in requests]
        with contextlib.redirect_stderr(self.screen):
            measured = bits.measure(
                self._loaded.model,
                self._loaded.tokenizer,
                texts,
                context_tokens=self._context_tokens,
                progress=self._progress,
            )
        return [-record.bits * math.log(2) for record in measured]

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """What the model writes after each prompt, greedily unless the task says otherwise, up to a stop."""
        written: dict[int, str] = {}
        settings: dict[str, list[int]] = {}
        for number, request in enumerate(requests):
            settings.setdefault(repr(sorted(request.args[1].items())), []).append(number)
        for numbers in settings.values():
            kwargs = dict(requests[numbers[0]].args[1])
            prompts = [requests[number].args[0] for number in numbers]
            with contextlib.redirect_stderr(self.screen):
                texts, cut = write_until(
                    self._loaded,
                    prompts,
                    stop=_stops(kwargs.get("until")),
                    max_new_tokens=kwargs.get("max_gen_toks", kwargs.get("max_new_tokens", 256)),
                    context_tokens=self._context_tokens,
                    temperature=kwargs.get("temperature", 0.0) if kwargs.get("do_sample") else 0.0,
                    top_p=kwargs.get("top_p", 1.0),
                    top_k=kwargs.get("top_k", 0),
                    bos=self._bos and not self._chat,
                    special_tokens=self._chat,
                    progress=self._progress,
                )
            written.update(zip(numbers, texts, strict=True))
            self.cut.update(zip(prompts, cut, strict=True))
        return [written[number] for number in range(len(requests))]

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """A conversation in the template of the tokenizer."""
        return self._loaded.tokenizer.apply_chat_template(
            chat_history,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )

    @property
    def tokenizer_name(self) -> str:
        """Part of the name of the harness's caches, which are not used here."""
        return self._loaded.tokenizer.name_or_path


def answer(
    loaded: Loaded, task: Task, *, context_tokens: int, bos: bool = True, progress: Progress = SILENT
) -> list[Answer]:
    """What a model makes of every item, in their order.

    Raises InputError where the task needs a chat template that the tokenizer does not have, or an answer is longer than
    the context.
    """
    if task.chat and loaded.tokenizer.chat_template is None:
        raise InputError(
            f"{task.name} is asked as a chat, and the tokenizer has no chat template.",
            where=loaded.tokenizer.name_or_path,
            remedy="Leave `chat` out for a base model, or add a chat_template.jinja to the model's folder.",
        )
    asked = Asked(loaded, context_tokens=context_tokens, chat=task.chat, bos=bos, progress=progress)
    if task.kind == "harness":
        found = defined(task.harness, own_file=bool(task.definition), num_shots=task.num_shots)
        few = places(found, task.most_items)
        samples = run(asked, {task.name: found}, chat=task.chat, samples=few and {task.name: few})
        return as_it_counts(found, samples[task.name])
    make = {"choice": _choice, "write": _written, "predict": _predicted}[task.kind]
    parts = task.by_topic()
    samples_of = run(asked, {part.name: configured(part) for part in parts.values()}, chat=task.chat)
    answers = {}
    for topic, part in parts.items():
        in_order = sorted(samples_of[part.name], key=lambda sample: sample["doc_id"])
        answers[topic] = iter([make(task, i, sample, asked) for i, sample in zip(part.items, in_order, strict=True)])
    return [next(answers[item.topic]) for item in task.items]


def run(
    asked: LM, tasks: dict[str, Any], *, chat: bool = False, samples: dict[str, list[int]] | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Every sample of the harness's own tasks, by name; `samples` has the places of those that are asked."""
    asked.screen = sys.stderr
    with quiet():
        results = evaluator.evaluate(
            asked,
            {"tasks": tasks, "groups": {}, "group_map": {}},
            samples=samples,
            bootstrap_iters=0,
            log_samples=True,
            apply_chat_template=chat,
            fewshot_as_multiturn=chat,
        )
    return results["samples"]


def configured(task: Task) -> ConfigurableTask:
    """The task in the harness's form."""

    def rows(items: Sequence[Item]) -> datasets.Dataset:
        return datasets.Dataset.from_list(
            [
                {
                    "context": item.context,
                    "options": [said(option) for option in item.options],
                    "gold": item.gold,
                    "first": said(item.answers[0]),
                }
                for item in items
            ]
        )

    def said(answer: str) -> str:
        # A turn of a conversation begins without a space.
        return answer.lstrip(" ") if task.chat else answer

    config: dict[str, Any] = {
        "task": task.name,
        "custom_dataset": lambda **_: {_SPLIT: rows(task.items), _SHOTS: rows(task.shots or task.items[:1])},
        "test_split": _SPLIT,
        "fewshot_split": _SHOTS,
        "fewshot_config": {"sampler": "first_n"},
        "num_fewshot": len(task.shots),
        "doc_to_text": lambda row: row["context"],
        "target_delimiter": "",
        "process_results": lambda *_: {"asked": 1},
        "metric_list": [{"metric": "asked", "aggregation": "mean", "higher_is_better": True}],
    }
    if task.kind == "choice":
        config |= {"output_type": "multiple_choice", "doc_to_choice": "options", "doc_to_target": "gold"}
        if task.items[0].contexts:
            # The harness takes a number in place of a text to mean that the options are what stands before.
            config |= {"doc_to_text": lambda row: row["gold"], "doc_to_target": lambda row: row["first"]}
    elif task.kind == "predict":
        config |= {"output_type": "loglikelihood", "doc_to_target": lambda row: row["first"]}
    else:
        config |= {
            "output_type": "generate_until",
            "doc_to_target": lambda row: row["first"],
            "generation_kwargs": {
                "until": list(task.stop),
                "max_gen_toks": task.max_new_tokens,
                "do_sample": bool(task.temperature),
                "temperature": task.temperature,
            },
        }
    with quiet():
        return ConfigurableTask(config=config)


def _choice(task: Task, item: Item, sample: dict[str, Any], asked: Asked) -> Answer:
    logprobs = [response[0][0] for response in sample["resps"]]
    sizes = [len(answer.encode()) for _, answer in sample["arguments"]]
    by_sum = _best(logprobs)
    chosen = _best([logprob / size for logprob, size in zip(logprobs, sizes, strict=True)]) if task.by_bytes else by_sum
    counts = {"accuracy": right(chosen == item.gold), "accuracy_sum": right(by_sum == item.gold)}
    return Answer(
        item.id,
        item.options[chosen].strip(),
        {metric: counts[metric] for metric in task.metrics},
        tuple(logprobs),
        max(asked.scores[argument].cut_tokens for argument in sample["arguments"]),
    )


def _predicted(task: Task, item: Item, sample: dict[str, Any], asked: Asked) -> Answer:
    (logprob, is_greedy) = sample["resps"][0][0]
    size = len(sample["arguments"][0][1].encode())
    counts = {"accuracy": right(is_greedy), "bits_per_byte": [-logprob / math.log(2), float(size)]}
    return Answer(
        item.id,
        item.answers[0].strip() if is_greedy else "",
        {metric: counts[metric] for metric in task.metrics},
        (logprob,),
        asked.scores[sample["arguments"][0]].cut_tokens,
    )


def _written(task: Task, item: Item, sample: dict[str, Any], asked: Asked) -> Answer:
    text = sample["resps"][0][0].strip()
    accepted = [reference.strip() for reference in item.answers]
    count = {
        "chrf": lambda: chrf_counts(text, accepted),
        "spbleu": lambda: bleu_counts(text, accepted),
        "f1": lambda: [word_f1(text, accepted), 1.0],
        "exact": lambda: right(is_exact(text, accepted)),
    }
    counts = {metric: count[metric]() for metric in task.metrics if metric in count}
    return Answer(item.id, text, counts, cut_tokens=asked.cut[sample["arguments"][0][0]])


def _best(values: Sequence[float]) -> int:
    return max(range(len(values)), key=values.__getitem__)


def _stops(until: Any) -> tuple[str, ...]:
    return (until,) if isinstance(until, str) else tuple(until or ())
