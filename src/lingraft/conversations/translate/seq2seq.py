"""A translation model of Hugging Face in a folder: Marian, NLLB, M2M100, T5, or another that is told the codes."""

import json
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from lingraft.ask.message import Messages
from lingraft.ask.respondent import Reply
from lingraft.core.errors import InputError
from lingraft.core.progress import SILENT, Progress
from lingraft.corpus.language import Language
from lingraft.evaluate.kept import model_digest

from . import codes

DEFAULT_POSITIONS = 512
"""Where a model does not say how many it has: T5 was trained on so many."""
BATCH_TOKENS = 4096
"""Of texts and translations that are worked on at once, for each beam."""
MORE_TOKENS, TIMES_TOKENS = 32, 3
"""A translation has at most so many times the tokens of its text, and some more."""


class Seq2Seq:
    """A respondent whose answer to a text is its translation; the model is loaded when it is first asked.

    NLLB and M2M100 are told the languages by codes, which come from `source` and `target` unless they are given, a
    multilingual Marian by a mark before the text, T5 by the `prefix` "translate English to Polish: ". Beam search,
    never sampling.

    Raises InputError for a folder without such a model, and for a language that it does not know.
    """

    def __init__(
        self,
        folder: Path,
        source: Language,
        target: Language,
        *,
        source_code: str | None = None,
        target_code: str | None = None,
        prefix: str | None = None,
        beams: int = 4,
    ) -> None:
        self._folder, self._beams = folder, beams
        self._config = _read_config(folder)
        self._tokenizer = _read_tokenizer(folder)
        self._prefix = prefix or ""
        self._begin: int | None = None
        self._tell_languages(source, target, source_code, target_code, prefix)
        self.name = folder.name

    @cached_property
    def identity(self) -> str:
        """The content of the model's files, the languages and the beams."""
        found = {
            "seq2seq": model_digest(self._folder),
            "source": getattr(self._tokenizer, "src_lang", None),
            "prefix": self._prefix,
            "begin": self._begin,
            "beams": self._beams,
        }
        return json.dumps(found, sort_keys=True)

    @cached_property
    def _model(self) -> PreTrainedModel:
        device, dtype = ("cuda", "auto") if torch.cuda.is_available() else ("cpu", torch.float32)
        model = AutoModelForSeq2SeqLM.from_pretrained(
            self._folder, dtype=dtype, local_files_only=True, use_safetensors=True
        )
        return model.to(device).eval()

    @torch.inference_mode()
    def reply(self, asked: Sequence[Messages], *, progress: Progress = SILENT) -> list[Reply]:
        """The translation of each last message, in their order; see `Respondent`.

        A text that is too long, and a translation that does not come to an end, are failed replies.
        """
        texts = [self._prefix + messages[-1].content for messages in asked]
        ids = self._tokenizer(texts, verbose=False)["input_ids"] if texts else []
        replies: dict[int, Reply] = {}
        limit = getattr(self._config, "max_position_embeddings", None) or DEFAULT_POSITIONS
        fitting = []
        for place, found in enumerate(ids):
            if len(found) > limit:
                replies[place] = Reply("", f"The text has {len(found)} tokens, and the model reads {limit} at most.")
            else:
                fitting.append(place)
        progress.start(f"translating with {self.name}", len(fitting), "texts")
        for batch in _of_like_length(fitting, ids):
            longest = min(limit - 1, TIMES_TOKENS * len(ids[batch[0]]) + MORE_TOKENS)
            replies |= zip(batch, self._write([ids[place] for place in batch], longest), strict=True)
            progress.advance(len(batch))
        return [replies[place] for place in range(len(asked))]

    def _write(self, batch: list[list[int]], max_new_tokens: int) -> list[Reply]:
        padded = self._tokenizer.pad({"input_ids": batch}, return_tensors="pt").to(self._model.device)
        options: dict[str, Any] = {"num_beams": self._beams, "do_sample": False, "max_new_tokens": max_new_tokens}
        if self._begin is not None:
            options["forced_bos_token_id"] = self._begin
        rows = self._model.generate(
            input_ids=padded["input_ids"], attention_mask=padded["attention_mask"], **options
        ).tolist()
        end = self._model.generation_config.eos_token_id
        ends = set(end) if isinstance(end, list) else {end}
        texts = self._tokenizer.batch_decode(rows, skip_special_tokens=True)
        replies = []
        for source, row, text in zip(batch, rows, texts, strict=True):
            # The first token is where the decoder starts, which in some models is the end of a text too.
            if ends.isdisjoint(row[1:]):
                replies.append(Reply("", f"The translation was cut off at {max_new_tokens} tokens."))
            elif not text.strip():
                replies.append(Reply("", "The translation is empty."))
            else:
                written = next(place for place, token in enumerate(row[1:], 1) if token in ends)
                replies.append(Reply(text, None, (len(source), written)))
        return replies

    def _tell_languages(
        self, source: Language, target: Language, source_code: str | None, target_code: str | None, prefix: str | None
    ) -> None:
        kind = type(self._tokenizer).__name__
        if kind.startswith("Marian"):
            marks = getattr(self._tokenizer, "supported_language_codes", [])
            if marks and prefix is None:
                wanted = [target_code] if target_code else [codes.nllb(target)[:3], target.tag, codes.nllb(target)]
                known = [f">>{code}<<" for code in wanted if f">>{code}<<" in marks]
                if not known:
                    raise self._no_language(target.name, wanted[0], marks)
                self._prefix = f"{known[0]} "
            return
        if self._config.model_type in ("t5", "mt5", "umt5", "longt5"):
            if prefix is None:
                self._prefix = f"translate {source.name} to {target.name}: "
            return
        named = {"NllbTokenizer": codes.nllb, "M2M100Tokenizer": codes.m2m100}.get(kind)
        if named is None and not (source_code and target_code):
            raise InputError(
                f"it is not known how a {self._config.model_type} model is told the languages.",
                where=self._folder,
                remedy="Give source_code and target_code: its own names of the languages.",
            )
        spoken = source_code or named(source), target_code or named(target)
        marked = getattr(self._tokenizer, "lang_code_to_token", {})
        for language, code in zip((source, target), spoken, strict=True):
            token = self._tokenizer.convert_tokens_to_ids(marked.get(code, code))
            if token in (None, self._tokenizer.unk_token_id):
                raise self._no_language(language.name, code, marked or self._tokenizer.get_added_vocab())
        self._tokenizer.src_lang = spoken[0]
        self._begin = token

    def _no_language(self, name: str, code: str, known: Sequence[str] | dict[str, int]) -> InputError:
        some = ", ".join(sorted(known)[:8])
        return InputError(
            f'the model has no language "{code}" for {name}.',
            where=self._folder,
            remedy=f"Give the code that it has as source_code or target_code; it knows {some} ...",
        )


def _read_config(folder: Path) -> PretrainedConfig:
    if not (folder / "config.json").is_file():
        raise InputError(
            "this is no folder of a model: it has no config.json.",
            where=folder,
            remedy="Give the folder of a translation model in Hugging Face form.",
        )
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if not config.is_encoder_decoder:
        raise InputError(
            f"a {config.model_type} model is no translation model with an encoder.",
            where=folder,
            remedy="Give a causal model as `model:`, not as `seq2seq:`.",
        )
    if not any(folder.glob("*.safetensors")):
        raise InputError(
            "the folder has no weights as safetensors.",
            where=folder,
            remedy="Convert them: load them with transformers and save them with save_pretrained.",
        )
    return config


def _read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    with warnings.catch_warnings():
        # Marian's tokenizer wants it for a method that nothing here calls.
        warnings.filterwarnings("ignore", "Recommended: pip install sacremoses")
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _of_like_length(places: Sequence[int], ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Places in batches, the longest first."""
    batch: list[int] = []
    for place in sorted(places, key=lambda place: -len(ids[place])):
        longest = len(ids[batch[0]]) if batch else len(ids[place])
        if batch and (len(batch) + 1) * (TIMES_TOKENS + 1) * longest > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
