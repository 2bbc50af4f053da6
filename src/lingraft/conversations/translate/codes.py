"""What NLLB and M2M100 call a language."""

import langcodes

from lingraft.corpus.language import Language

NLLB_MEMBERS = {
    "ar": "arb",
    "fa": "pes",
    "et": "est",
    "lv": "lvs",
    "ms": "zsm",
    "no": "nob",
    "nb": "nob",
    "sw": "swh",
    "az": "azj",
    "sq": "als",
    "mn": "khk",
    "uz": "uzn",
    "yi": "ydd",
    "ps": "pbt",
    "ne": "npi",
    "or": "ory",
    "qu": "quy",
    "mg": "plt",
    "om": "gaz",
    "ku": "kmr",
    "ff": "fuv",
    "ay": "ayr",
    "kr": "knc",
    "fil": "tgl",
}
"""Macrolanguages, by the member that NLLB-200 has (appendix of arXiv 2207.04672)."""


def nllb(language: Language) -> str:
    """ISO 639-3 and the script, as `pol_Latn`."""
    code = langcodes.Language.get(language.tag).language
    script = {"Kore": "Hang"}.get(language.script, language.script)
    return f"{NLLB_MEMBERS.get(code) or langcodes.Language.get(code).to_alpha3()}_{script}"


def m2m100(language: Language) -> str:
    """ISO 639-1 where there is one; Norwegian has the code of all of it."""
    code = langcodes.Language.get(language.tag).language
    return {"nb": "no", "nn": "no", "fil": "tl"}.get(code, code)
