"""The language of what a model writes: sentence by sentence, and word by word.

**Code-switching** is here what a reader would call foreign matter in the text, measured over words:

- A *word* is a run of letters of one script. Names (a capital inside a sentence), abbreviations (all capitals), mixed
  spellings (iPhone), single letters, code, addresses and numbers say nothing of the language and are not counted;
  see `prose`.
- *Another script*: a word in letters of another script than the target's is foreign.
- *The same script*: a word is foreign when it stands in a passage that is far more probable in the other language
  (the replay language) than in the target's, by models learned from the user's own text of both; see
  `word_language`. A word alone needs more evidence than one with foreign neighbors, and four letters. A loanword that
  stands in the target text as well is not foreign.
- Words of the prompt are not foreign.

The *rate* is the foreign share of the words counted: the complement of the target's share in the code-mixing index of
B. Gambäck and A. Das (2014), where language-independent words are left out too. A *switched* text has at least one
foreign passage. A sentence is in the target language when at least half of its counted words are; a sentence without
any is not counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lingraft.corpus.language import Language

from . import prose, repetition
from .repetition import NGrams
from .word_language import WordLanguages

DISTINCT_SIZES = (1, 2, 3)
REPEATED_SIZE = 4


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
    distinct: dict[int, NGrams]
    """By size of the n-grams: 1, 2 and 3."""
    repetition: NGrams
    """Of 4-grams."""
    loops: bool
    empty: bool
    """Whether there is nothing but white space."""

    @property
    def foreign(self) -> int:
        """How many of `words` are."""
        return sum(map(len, self.switched))


def describe(outputs: Sequence[str], prompts: Sequence[str], words: WordLanguages, language: Language) -> list[Written]:
    """What can be counted of each output, after the prompt of the same place."""
    return [_describe(output, prompt, words, language) for output, prompt in zip(outputs, prompts, strict=True)]


def _describe(output: str, prompt: str, words: WordLanguages, language: Language) -> Written:
    asked = {word.casefold() for word in prose.letter_runs(prompt)}
    sentences = in_target = num_words = 0
    switched: list[tuple[str, ...]] = []
    for sentence in prose.sentences(output):
        found = prose.words(sentence, language)
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
        distinct={size: repetition.ngrams(running, size) for size in DISTINCT_SIZES},
        repetition=repetition.ngrams(running, REPEATED_SIZE),
        loops=repetition.loops(output),
        empty=not output.strip(),
    )
