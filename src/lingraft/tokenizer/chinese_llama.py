"""Chinese-LLaMA's manner, for comparison only: the pieces of a separate BPE rank above all the base's.

Cui et al. 2023, arXiv 2304.08177; their released merge_tokenizers.py gives every new piece the score 0, that of the
piece that SentencePiece joins first.
"""

from lingraft.core.progress import SILENT, Progress

from . import content, reach, separate, words
from .method import Extended, Source, Texts

HARM = (
    "The new tokens come before those the base was trained with: text in any language, the base's own included, is "
    "segmented otherwise than in its training. Made for comparison; train with continued_bpe."
)


def method(source: Source, texts: Texts, new_tokens: int, *, progress: Progress = SILENT) -> Extended:
    """New tokens of a separate BPE, each made from any two neighbours that spell it, before all old ones.

    `harmful` in the figures says what is wrong with that. Raises InputError for a tokenizer without merges.
    """
    separate.require_bpe(source, "chinese_llama")
    vocabulary = source.tokenizer.get_vocab()
    counts, figures = words.count(source.tokenizer.backend_tokenizer, texts.target, progress=progress)
    own = separate.learn(source, counts, new_tokens, known=vocabulary, progress=progress)
    tokens = own.lacked_by(vocabulary)
    extended = content.add(source, tokens, ahead=True)
    figures |= own.figures | reach.figures(extended, tokens, counts) | {"harmful": HARM}
    return Extended(extended, tokens, figures, ahead=True)
