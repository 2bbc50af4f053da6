"""The language of what a model writes: sentence by sentence, and word by word.

**Code-switching** is here a running word of another language in the text. A *word* is a run of letters of one script,
with apostrophes inside. These say nothing of the language and are not counted (see `prose`):

- names: a word with a capital inside a sentence; a title, in quotation marks or italics and with a capital; letters of
  another script in parentheses, as in Pekin (北京);
- abbreviations (all capitals), mixed spellings (iPhone), single letters that are symbols, units after a number;
- code, addresses, paths and numbers.

Of the words that are left, with those of the prompt, whatever their ending, never taken for foreign:

- *Another script*: a word in letters of another script than the target's is foreign.
- *The same script*: a word is foreign when it stands in a passage that is far more probable in the other language
  (the replay language), or in none, than in the target's, by models learned from the user's own text of both; see
  `word_language`. A word alone needs more evidence than one with foreign neighbors, and four letters. A loanword that
  the target text has too is not foreign.

The *rate* is the foreign share of the words counted: what the code-mixing index of B. Gambäck and A. Das (2014) is
where the target language prevails; it leaves language-independent words out too. A *switched* text has at least one
foreign passage. A sentence, or a whole output, is in the target language when at least half of its counted words are;
one without any is not counted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import prose, repetition
from .repetition import NGrams
from .word_language import WordLanguages, beginnings

NGRAM_SIZES = (1, 2, 3, 4)


@dataclass(frozen=True)
class Written:
    """One output of a model. Shares over many outputs are sums over sums."""

    sentences: int
    """That have words to tell their language by."""
    in_target: int
    words: int
    """That could be told to be the target's or foreign."""
    switched: tuple[tuple[str, ...], ...]
    """Every foreign passage, as its words."""
    ngrams: dict[int, NGrams]
    """Of one to four words, by that number."""
    loops: bool
    empty: bool
    """Whether there is nothing but white space."""

    @property
    def foreign(self) -> int:
        """How many of `words` are."""
        return sum(map(len, self.switched))


SHARES: dict[str, Callable[[Written], tuple[float, float]]] = {
    "in_target": lambda written: (written.in_target, written.sentences),
    "outputs_in_target": lambda written: (
        written.words > 0 and 2 * written.foreign <= written.words,
        written.words > 0,
    ),
    "foreign_words": lambda written: (written.foreign, written.words),
    "switched": lambda written: (bool(written.switched), written.words > 0),
    "distinct_1": lambda written: (written.ngrams[1].distinct, written.ngrams[1].total),
    "distinct_2": lambda written: (written.ngrams[2].distinct, written.ngrams[2].total),
    "distinct_3": lambda written: (written.ngrams[3].distinct, written.ngrams[3].total),
    "repeated_4": lambda written: (written.ngrams[4].repeated, written.ngrams[4].total),
    "loops": lambda written: (written.loops, 1),
    "empty": lambda written: (written.empty, 1),
}
"""Every figure as what is summed over outputs, above and below the line of `metrics.ratio`."""


def describe(outputs: Sequence[str], prompts: Sequence[str], words: WordLanguages | None) -> list[Written]:
    """What can be counted of each output, after the prompt of the same place; without `words`, all but its language."""
    return [_describe(output, prompt, words) for output, prompt in zip(outputs, prompts, strict=True)]


def _describe(output: str, prompt: str, words: WordLanguages | None) -> Written:
    output, prompt = (text.encode(errors="replace").decode() for text in (output, prompt))  # half surrogate pairs
    asked = {part for word in prose.letter_runs(prompt) for part in beginnings(word)}
    sentences = in_target = num_words = 0
    switched: list[tuple[str, ...]] = []
    for sentence in prose.sentences(output) if words is not None else ():
        found = prose.words(sentence, words.target.language)
        judged = words.judge(found, asked)
        foreign = [tuple(found[place].text for place in run) for run in judged.foreign]
        num_foreign = sum(map(len, foreign))
        if judged.own or num_foreign:
            sentences += 1
            in_target += judged.own >= num_foreign
            num_words += judged.own + num_foreign
            switched += foreign
    running = prose.running_words(output)
    return Written(
        sentences=sentences,
        in_target=in_target,
        words=num_words,
        switched=tuple(switched),
        ngrams={size: repetition.ngrams(running, size) for size in NGRAM_SIZES},
        loops=repetition.loops(output),
        empty=not output.strip(),
    )
