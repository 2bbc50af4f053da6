"""A tokenizer of the 256 bytes and three control tokens: what the vocabulary of a new model grows from."""

from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from . import marks

BOS, EOS, PAD = CONTROL = ("<|bos|>", "<|eos|>", "<|pad|>")
NAMES = {"bos": BOS, "eos": EOS, "pad": PAD}
IDS = {token: index for index, token in enumerate(CONTROL)}
# Llama-3's (its tokenizer.json): contractions, words, up to three digits, signs, line ends, spaces.
LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def write(folder: Path, max_tokens: int | None = None) -> None:
    """Write a byte-level BPE without merges to `folder`: BOS, EOS and PAD have the ids 0 to 2, byte b has b + 3.

    Words are cut by Llama-3's pattern with combining marks kept on their letters, so a vocabulary for any script can
    grow from it. Its post-processor puts BOS before a text. `max_tokens` is the length that transformers warns beyond.
    """
    letters = {letter: byte + len(CONTROL) for byte, letter in bytes_to_unicode().items()}
    tokenizer = Tokenizer(models.BPE({**IDS, **letters}, []))
    words = pre_tokenizers.Split(Regex(marks.with_marks(LLAMA3_PATTERN)), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, IDS[BOS])]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **{f"{name}_token": token for name, token in NAMES.items()},
        **({} if max_tokens is None else {"model_max_length": max_tokens}),
    ).save_pretrained(folder)
