"""Text as its distinct words with their counts: the pieces that no new token may cross, in the symbols of the model."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

import regex
from tokenizers import Tokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from lingraft.core.progress import SILENT, Progress

from . import kind

SAMPLE_DOCUMENTS, SAMPLE_CHARACTERS = 64, 5000
BATCH_CHUNKS = 50_000
# Text is cut at each space that follows no other white space, and that space is dropped: only at such a place do all
# published split patterns cut whatever stands around it.
CUT = re.compile(r" (?<=\S )")
WORD = re.compile("▁*[^▁]+|▁+$")
# Of the pre-tokenizer ByteLevel, which has it built in (Radford et al. 2019, released code).
GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

Split = Callable[[str], list[str]]


def count(
    backend: Tokenizer, texts: Iterable[str], *, progress: Progress = SILENT
) -> tuple[Counter[str], dict[str, int]]:
    """How often each word occurs in the texts, and how much text that is.

    Words are the pre-tokens of a byte-level BPE; where the model marks spaces with `▁` they are what stands between
    two of them, the mark included. Added tokens are cut out first: no token is ever learned across one.
    """
    texts = iter(texts)
    sample = list(islice(texts, SAMPLE_DOCUMENTS))
    cut = cutter(backend)
    split, joint, symbols = _fastest(backend, [part for text in sample for part in cut(text[:SAMPLE_CHARACTERS])])
    words: Counter[str] = Counter()
    chunks: Counter[str] = Counter()
    documents = num_bytes = 0
    progress.start("reading the text", unit="B")
    for text in chain(sample, texts):
        for part in cut(text):
            if joint is None:
                words.update(split(part))
            elif part:
                first, *rest = CUT.split(part)
                words.update(split(first))
                chunks.update(rest)
        documents += 1
        num_bytes += (size := len(text.encode()))
        progress.advance(size)
    for found, times in _split_chunks(chunks, split, joint or ""):
        if times == 1:  # most chunks, and this way takes no step of Python for each word
            words.update(found)
        else:
            for word in found:
                words[word] += times
    if symbols is not None:
        words = Counter({symbols(word): times for word, times in words.items()})
    return words, {"documents": documents, "bytes": num_bytes}


def splitter(backend: Tokenizer) -> Split:
    """The function that cuts a text without added tokens into its words."""
    if kind.of(backend) == kind.BYTE_LEVEL_BPE:
        return lambda text: kind.pre_tokens(backend, text) if text else []
    return lambda text: [word for piece in kind.pre_tokens(backend, text) for word in WORD.findall(piece)]


def cutter(backend: Tokenizer) -> Split:
    """The function that cuts a text where an added token stands, and leaves that out."""
    contents = sorted((token.content for token in backend.get_added_tokens_decoder().values()), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, contents))).split if contents else lambda text: [text]


def _fastest(backend: Tokenizer, sample: list[str]) -> tuple[Split, str | None, Callable[[str], str] | None]:
    """The fastest way that finds the words of the sample: a split, what to put before a chunk, and the symbols.

    Far fewer chunks between spaces are distinct than there are words, so that cutting each of them once is what makes
    counting fast. That a tokenizer always cuts at a space, and how two engines read its pattern, is not written in
    its file: it is tried. The last resort are whole texts, and always right.
    """
    own = splitter(backend)
    wanted = Counter(word for text in sample for word in own(text))
    ways = [(regular, " ", _byte_symbols())] if (regular := _regular_expression(backend)) else []
    # Nothing is put before a chunk where the tokenizer itself puts a space before every text.
    ways += [(own, " ", None), (own, "", None)]
    for split, joint, symbols in ways:
        found: Counter[str] = Counter()
        for text in filter(None, sample):
            first, *rest = CUT.split(text)
            found.update(split(first))
            found.update(word for chunk in rest for word in split(joint + chunk))
        if symbols is not None:
            found = Counter({symbols(word): times for word, times in found.items()})
        if found == wanted:
            return split, joint, symbols
    return own, None, None


def _split_chunks(counts: Counter[str], split: Split, joint: str) -> Iterator[tuple[list[str], int]]:
    """The words of all chunks: those of equal count are cut together, in one call."""
    by_count: defaultdict[int, list[str]] = defaultdict(list)
    for chunk, times in counts.items():
        if chunk == "" or chunk[-1].isspace():  # the end of a text, which would run into the next chunk
            yield split(joint + chunk), times
        else:
            by_count[times].append(chunk)
    for times, chunks in by_count.items():
        for at in range(0, len(chunks), BATCH_CHUNKS):
            yield split(joint + " ".join(chunks[at : at + BATCH_CHUNKS])), times


def _regular_expression(backend: Tokenizer) -> Split | None:
    """The pre-tokenizer of a byte-level BPE as one regular expression of Python's engine, which is far faster."""
    if kind.of(backend) != kind.BYTE_LEVEL_BPE or backend.normalizer is not None:
        return None
    settings = json.loads(backend.pre_tokenizer.__getstate__())
    steps = settings.get("pretokenizers", [settings])
    patterns = [step["pattern"].get("Regex") for step in steps if step["type"] == "Split"]
    patterns += [GPT2_PATTERN for step in steps if step["type"] == "ByteLevel" and step["use_regex"]]
    if len(patterns) != 1 or patterns[0] is None:
        return None
    return regex.compile(patterns[0]).findall


def _byte_symbols() -> Callable[[str], str]:
    """The function that writes a text as byte-level BPE does, with one symbol for each byte."""
    symbols = bytes_to_unicode()
    return lambda text: text.encode().decode("latin-1").translate(symbols)
