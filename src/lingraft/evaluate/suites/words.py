"""The few words that prompts are made of, in the languages they have been written in by hand."""

from dataclasses import dataclass, fields
from functools import cached_property

import langcodes

from lingraft.core.errors import RecipeError
from lingraft.core.registry import did_you_mean
from lingraft.corpus.language import Language, find


@dataclass(frozen=True)
class Words:
    """In one language."""

    tag: str
    because: str
    """Before the cause of what was said, with the comma that stands before it."""
    therefore: str
    """Before the effect of what was said, likewise."""
    question: str
    answer: str
    text: str
    right: str
    """As in "Anna sleeps, right?"."""
    yes: str
    no: str
    also: str
    """As in "Anna sleeps. Also, she snores.": neither followed nor denied."""

    @cached_property
    def space(self) -> str:
        """What stands between a word of the prompt and the answer."""
        return " " if find(self.tag).spaces else ""

    def joined(self, sentence: str, connector: str) -> str:
        """A sentence that goes on with one of the connectors."""
        return f"{sentence}{'' if connector.startswith((',', '،', '，', '、')) else self.space}{connector}"

    def agreed(self, answer: str, claim: str) -> str:
        """What follows a sentence to say how another one stands to it: ", right? Yes, Anna snores."."""
        return f", {self.right}?{self.space}{answer},{self.space}{claim}"

    def language(self, other: Language) -> str:
        """The name of a language in this one, from Unicode CLDR."""
        name = langcodes.Language.get(other.tag).language_name(self.tag)
        return name[:1].upper() + name[1:]


WRITTEN = {
    "en": Words("en", "because", "therefore", "Question", "Answer", "Text", "right", "Yes", "No", "Also"),
    "pl": Words("pl", ", ponieważ", ", dlatego", "Pytanie", "Odpowiedź", "Tekst", "prawda", "Tak", "Nie", "Poza tym"),
    "hu": Words("hu", ", mert", ", ezért", "Kérdés", "Válasz", "Szöveg", "igaz", "Igen", "Nem", "Emellett"),
    "tr": Words("tr", "çünkü", "bu yüzden", "Soru", "Cevap", "Metin", "değil mi", "Evet", "Hayır", "Ayrıca"),
    "hi": Words("hi", "क्योंकि", "इसलिए", "प्रश्न", "उत्तर", "पाठ", "है ना", "हाँ", "नहीं", "साथ ही"),
}
"""By language, without region or script."""


def unfinished(sentence: str) -> str:
    """A sentence without its full stop, to go on with."""
    return sentence.rstrip().rstrip(".。।။").rstrip()


def lowered(sentence: str, language: Language) -> str:
    """A sentence as it stands within another: with a small letter first."""
    # Python knows one alphabet only, in which I and İ are not two letters.
    own = {"I": "ı", "İ": "i"} if langcodes.Language.get(language.tag).language in ("tr", "az") else {}
    return own.get(sentence[:1], sentence[:1].lower()) + sentence[1:]


def native(language: Language, own: dict[str, str]) -> Words | None:
    """The words in a language, with `own` in place of those written here; None where there are none.

    Raises RecipeError for a word that no prompt has.
    """
    known = [field.name for field in fields(Words) if field.name != "tag"]
    for name in own:
        if name not in known:
            raise RecipeError(f'no prompt has a word "{name}".', where="words", remedy=did_you_mean(name, known))
    written = WRITTEN.get(langcodes.Language.get(language.tag).language)
    if written is None:
        if not own:
            return None
        missing = [name for name in known if name not in own]
        if missing:
            raise RecipeError(
                f"there are no prompts in {language.name} yet, and `words` leaves out {', '.join(missing)}.",
                where="words",
                remedy="Give all of them, or none for prompts in English.",
            )
        return Words(language.tag, **own)
    return Words(**{**{field.name: getattr(written, field.name) for field in fields(Words)}, **own})
