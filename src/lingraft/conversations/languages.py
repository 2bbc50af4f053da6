"""Whether an answer is in the language it should be in.

By its script, which needs no learning; and, between two languages of one script, by the word-level models of
`evaluate.language.word_language`, learned from a corpus, where they prove themselves on text they have not seen. Code,
addresses, names and numbers are no words here, and a text of a few words is not judged.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice

from lingraft.core.errors import InputError
from lingraft.corpus.language import Language
from lingraft.evaluate.language import prose
from lingraft.evaluate.language.word_language import WordLanguages

LEAST_WORDS = 4
"""Of a text that is judged."""
LEAST_OF_QUESTION = 0.2
"""The share of its words that makes a question one in the language."""
MOST_CHARACTERS = 8000
"""Of a text that are looked at."""
TRIALS, LEAST_TRIALS, MOST_MISTAKES = 200, 30, 0.05
IN_LANGUAGE, IN_SCRIPT, ANOTHER, TOO_SHORT = "in the language", "in its script", "in another", "too short to tell"
"""`IN_SCRIPT` is said where nothing tells the language from another of that script."""


@dataclass(frozen=True)
class Trial:
    """Single sentences of held-out text that were judged: harder than whole answers."""

    own: int
    own_missed: float
    """The share of sentences in the language that were taken for another's."""
    other: int
    other_missed: float
    """The share of sentences in the other language that were not found."""

    @property
    def passed(self) -> bool:
        """Whether the models may judge."""
        enough = min(self.own, self.other) >= LEAST_TRIALS
        return enough and max(self.own_missed, self.other_missed) <= MOST_MISTAKES


class Expected:
    """Tells whether texts are in one language, with another one as the likely alternative."""

    def __init__(self, language: Language, other: Language | None, words: WordLanguages | None = None) -> None:
        self.language, self.other = language, other
        self._words = words
        self._script_tells = other is not None and not _scripts(language) & _scripts(other)
        self.trial: Trial | None = None
        self.untold: str | None = None
        """Why words are not judged, where they could have been."""

    @classmethod
    def learn(
        cls,
        language: Language,
        other: Language,
        training: tuple[Iterable[str], Iterable[str]],
        held_out: tuple[Iterable[str], Iterable[str]],
    ) -> "Expected":
        """From text in the language and in the other one; what passes no trial on held-out text judges by script."""
        plain = cls(language, other)
        if plain._script_tells:
            return plain
        try:
            found = cls(language, other, WordLanguages.learn(*training, language, other))
        except InputError as error:
            plain.untold = error.what
            return plain
        found.trial = plain.trial = found._try(*held_out)
        if found.trial.passed:
            return found
        plain.untold = "the corpus is too small, or its languages too close, for words to tell them apart"
        return plain

    def judge(self, texts: Sequence[str], least_share: float = 0.5) -> str:
        """IN_LANGUAGE, IN_SCRIPT, ANOTHER or TOO_SHORT, of texts taken together.

        ANOTHER is said when less than `least_share` of the words that tell are the language's.
        """
        return self._verdict(sum(map(self._count, _sentences(texts)), Counter()), least_share)

    def judge_question(self, texts: Sequence[str]) -> str:
        """The same of what a user asks, which may be about texts in another language: one sentence is enough."""
        counts = list(map(self._count, _sentences(texts)))
        whole = self._verdict(sum(counts, Counter()), LEAST_OF_QUESTION)
        if whole != ANOTHER:
            return whole
        return next((said for said in map(self._verdict, counts) if said in (IN_LANGUAGE, IN_SCRIPT)), ANOTHER)

    def _count(self, sentence: str) -> Counter[str]:
        words = prose.words(sentence, self.language)
        found = Counter(own=0, other=0, native=0, foreign=0)
        found.update("own" if word.own_script else "other" for word in words if not word.mute)
        if self._words is not None:
            foreign = {place for run in self._words.judge(words).foreign for place in run}
            # A word whose capital may be a name's, and that the learned text does not have, says nothing.
            native = sum(
                word.own_script and not word.mute and (not word.first or self._words.target.times(word.stem) > 0)
                for place, word in enumerate(words)
                if place not in foreign
            )
            found.update(native=native, foreign=len(foreign))
        return found

    def _verdict(self, found: Counter[str], least_share: float = 0.5) -> str:
        num_words = found["own"] + found["other"]
        if num_words < LEAST_WORDS:
            return TOO_SHORT
        if found["own"] < least_share * num_words:
            return ANOTHER
        if self._words is None:
            return IN_LANGUAGE if self._script_tells else IN_SCRIPT
        num_told = found["native"] + found["foreign"]
        if num_told < LEAST_WORDS:
            return TOO_SHORT
        return ANOTHER if found["native"] < least_share * num_told else IN_LANGUAGE

    def figures(self) -> dict[str, object]:
        """How this judges, and how well on held-out sentences."""
        means = "words" if self._words is not None else "script"
        trial = None if self.trial is None else asdict(self.trial)
        return {"language": self.language.tag, "by": means, "trial": trial, "not_by_words": self.untold}

    def _try(self, own: Iterable[str], other: Iterable[str]) -> Trial:
        shares = []
        for texts in (own, other):
            said = [self.judge([sentence]) for sentence in islice(_spread(texts), 4 * TRIALS)]
            said = [found for found in said if found != TOO_SHORT][:TRIALS]
            shares.append((len(said), said.count(ANOTHER) / max(1, len(said))))
        (num_own, own_missed), (num_other, other_found) = shares
        return Trial(num_own, own_missed, num_other, 1 - other_found)


def _scripts(language: Language) -> set[str]:
    return set(prose.SCRIPTS.get(language.script, language.script).split())


def _sentences(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from prose.sentences(text[:MOST_CHARACTERS])


def _spread(texts: Iterable[str]) -> Iterator[str]:
    """A few sentences of each text, whose first is often a title."""
    for text in islice(texts, TRIALS):
        yield from islice(_sentences([text]), 1, 9)
