"""Whether an answer is in the language it should be in.

By its script, which needs no learning; and, between two languages of one script, by the word-level models of
`evaluate.language.word_language`, learned from a corpus, where they prove themselves on text they have not seen. Code,
addresses, names and numbers are no words here, and a text of a few words is not judged.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice

from lingraft.core.errors import InputError
from lingraft.corpus.language import Language
from lingraft.evaluate.language import prose
from lingraft.evaluate.language.word_language import WordLanguages

LEAST_WORDS = 4
"""Of a text that is judged."""
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
        own = other = native = foreign = 0
        for sentence in _sentences(texts):
            words = prose.words(sentence, self.language)
            own += sum(word.own_script for word in words if not word.mute)
            other += sum(not word.own_script for word in words if not word.mute)
            if self._words is not None:
                judged = self._words.judge(words)
                native += judged.own
                foreign += sum(map(len, judged.foreign))
        if own + other < LEAST_WORDS:
            return TOO_SHORT
        if own < least_share * (own + other):
            return ANOTHER
        if self._words is None:
            return IN_LANGUAGE if self._script_tells else IN_SCRIPT
        if native + foreign < LEAST_WORDS:
            return TOO_SHORT
        return ANOTHER if native < least_share * (native + foreign) else IN_LANGUAGE

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
