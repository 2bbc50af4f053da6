"""What word-level models of two languages are good for: tried on text they have not learned from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lingraft.corpus.language import Language

from . import prose
from .prose import Word
from .vocabulary import Vocabulary

TRIALS = 300
LEAST_TRIALS = 30
PLANTED_WORDS, PLANTED_LETTERS = 3, 4
LEAST_KNOWN, LEAST_FOUND, MOST_FALSE = 0.8, 0.9, 0.1
"""Models that knew 64 % of the words of Polish text had a precision of 0.85 on the labelled set, those that knew 85 %
and more 0.94 with all languages together: benchmarks/results/code_switching.json, "dev"."""


@dataclass(frozen=True)
class Reliability:
    """What the models make of text they have not learned from; `None` where there is too little of it to say."""

    target_words: int
    """That were learned from."""
    other_words: int
    known: float | None
    """The share of the words of held-out target text that the learned text has."""
    false_alarms: float | None
    """The share of held-out target sentences in which something foreign is found: rightly or wrongly."""
    found: float | None
    """The share of held-out target sentences in which three words of the other language are found once put there."""
    found_alone: float | None
    """The same with one word of four letters or more."""

    @property
    def enough(self) -> bool:
        """Whether the texts are large enough for figures of code-switching to be relied on."""
        if self.known is None or self.false_alarms is None or self.found is None:
            return False
        return self.known >= LEAST_KNOWN and self.false_alarms <= MOST_FALSE and self.found >= LEAST_FOUND


def measure(
    is_switched: Callable[[Sequence[Word]], bool],
    target: Vocabulary,
    other: Vocabulary,
    target_texts: Sequence[str],
    other_texts: Sequence[str],
) -> Reliability:
    """Judge sentences of held-out texts as they are, and with words of the other language put into them."""
    language = target.language
    sentences = _words_of(target_texts, language)
    passages = [
        [word for word in sentence if not word.mute and not word.first] for sentence in _words_of(other_texts, language)
    ]
    plain = [w for sentence in sentences for w in sentence if w.own_script and not w.mute and not w.first]
    found, alone = [], []
    for sentence, passage in zip(sentences, passages, strict=False):
        if len(passage) >= PLANTED_WORDS:
            found.append(is_switched(_planted(sentence, passage[:PLANTED_WORDS])))
        long = [word for word in passage if len(word.text) >= PLANTED_LETTERS]
        if long:
            alone.append(is_switched(_planted(sentence, long[:1])))
    return Reliability(
        target_words=target.num_words,
        other_words=other.num_words,
        known=_share([target.times(word.stem) > 0 for word in plain]),
        false_alarms=_share([is_switched(sentence) for sentence in sentences]),
        found=_share(found),
        found_alone=_share(alone),
    )


def _words_of(texts: Sequence[str], language: Language) -> list[list[Word]]:
    """Of sentences evenly spread over the texts, as many as are tried."""
    found = [words for text in texts for line in prose.sentences(text) if (words := prose.words(line, language))]
    return [found[place * len(found) // TRIALS] for place in range(TRIALS)] if len(found) > TRIALS else found


def _planted(sentence: list[Word], words: list[Word]) -> list[Word]:
    middle = len(sentence) // 2
    return [*sentence[:middle], *words, *sentence[middle:]]


def _share(hits: Sequence[bool]) -> float | None:
    return sum(hits) / len(hits) if len(hits) >= LEAST_TRIALS else None
