"""Translation models of two layers with random weights: languages, batches and ends, against `generate` of one text."""

import json
from pathlib import Path

import pytest
import sentencepiece
import torch
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GenerationConfig,
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    MarianConfig,
    MarianMTModel,
    NllbTokenizer,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from lingraft.ask.message import USER, Message
from lingraft.ask.respondent import Reply
from lingraft.conversations.translate import codes
from lingraft.conversations.translate.seq2seq import Seq2Seq
from lingraft.core.errors import InputError
from lingraft.corpus.language import find

SMALL = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "max_position_embeddings": 64,
}
ENGLISH, POLISH = find("en"), find("pl")


def save(model: PreTrainedModel, folder: Path, end: int, first_letter: int = 0, last_letter: int | None = None) -> None:
    """With weights that differ enough for texts to be told apart, and an end where generation has its limit.

    Tokens that are no letters get none, so that they are hardly written.
    """
    torch.manual_seed(0)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.normal_(0, 0.7)
        for special in range(first_letter):
            model.get_input_embeddings().weight[special] = 0
        if last_letter is not None:
            model.get_input_embeddings().weight[last_letter:] = 0
    start = model.config.decoder_start_token_id
    model.generation_config = GenerationConfig(
        eos_token_id=end, forced_eos_token_id=end, pad_token_id=model.config.pad_token_id, decoder_start_token_id=start
    )
    model.save_pretrained(folder)


def letters(texts: list[str]) -> dict[str, int]:
    signs = sorted({"▁", *"".join(texts).replace(" ", "▁")})
    return {token: place for place, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *signs])}


@pytest.fixture(scope="module")
def nllb(tmp_path_factory: pytest.TempPathFactory, english: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("nllb")
    tokenizer = NllbTokenizer(vocab=letters(english), merges=[])
    tokenizer.save_pretrained(folder)
    config = M2M100Config(vocab_size=len(tokenizer), decoder_start_token_id=2, **SMALL)
    save(M2M100ForConditionalGeneration(config), folder, 2, 5, len(letters(english)))
    return folder


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory, english: list[str], polish: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("pieces")
    (folder / "text").write_text("\n".join([*english, *polish]))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text"),
        model_prefix=str(folder / "spm"),
        vocab_size=120,
        minloglevel=2,
        hard_vocab_limit=False,
    )
    return folder / "spm.model"


def vocabulary(pieces: Path, *more: str) -> dict[str, int]:
    processor = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
    found = [processor.id_to_piece(place) for place in range(processor.get_piece_size())]
    control = ["<s>", "<pad>", "</s>", "<unk>"]
    return {token: place for place, token in enumerate([*control, *more, *(p for p in found if p not in control)])}


def ask(model: Seq2Seq, *texts: str) -> list[Reply]:
    return model.reply([(Message(USER, text),) for text in texts])


def alone(folder: Path, text: str, count: int, **options: object) -> str:
    """One text, straight from transformers."""
    tokenizer = AutoTokenizer.from_pretrained(folder, **({"src_lang": "eng_Latn"} if options else {}))
    model = AutoModelForSeq2SeqLM.from_pretrained(folder)
    ids = tokenizer(text, return_tensors="pt").input_ids
    written = model.generate(ids, num_beams=2, max_new_tokens=count, **options)
    return tokenizer.decode(written[0], skip_special_tokens=True)


def test_nllb(nllb: Path, english: list[str]) -> None:
    model = Seq2Seq(nllb, ENGLISH, POLISH, beams=2)
    texts = [english[0][:12], english[1][:9]]
    replies = [ask(model, text)[0] for text in texts]
    polish = AutoTokenizer.from_pretrained(nllb).convert_tokens_to_ids("pol_Latn")
    for text, reply in zip(texts, replies, strict=True):
        limit = min(63, 3 * (len(text) + 3) + 32)
        assert reply == Reply(alone(nllb, text, limit, forced_bos_token_id=polish), None, reply.tokens)
        assert reply.tokens is not None
        assert reply.tokens[0] == len(AutoTokenizer.from_pretrained(nllb)(text).input_ids)
    assert replies[0].text != replies[1].text
    assert Seq2Seq(nllb, POLISH, ENGLISH).identity != model.identity
    assert Seq2Seq(nllb, ENGLISH, POLISH, beams=2).identity == model.identity


def test_texts_of_a_batch_keep_their_order(nllb: Path, english: list[str]) -> None:
    """Those of the same length are not padded, and so are the same as alone."""
    model = Seq2Seq(nllb, ENGLISH, POLISH, beams=1)
    texts = [english[0][:10], english[1][:20], english[2][:10], english[3][:20]]
    for length in (10, 20):
        same = [text for text in texts if len(text) == length]
        assert ask(model, *same) == [ask(model, text)[0] for text in same]
    assert len(ask(model, *texts)) == 4
    assert ask(model) == []


def test_a_long_text_and_a_translation_without_end(nllb: Path) -> None:
    model = Seq2Seq(nllb, ENGLISH, POLISH, beams=1)
    assert ask(model, "a" * 80, "a")[0].failure == "The text has 83 tokens, and the model reads 64 at most."
    model._model.generation_config.forced_eos_token_id = None
    model._model.generation_config.suppress_tokens = [2]
    assert ask(model, "at")[0].failure == "The translation was cut off at 47 tokens."


def test_a_language_that_the_model_does_not_know(nllb: Path) -> None:
    with pytest.raises(InputError, match='the model has no language "csb_Latn" for Kashubian'):
        Seq2Seq(nllb, ENGLISH, find("csb"))
    assert Seq2Seq(nllb, ENGLISH, find("csb"), target_code="pol_Latn").identity


def test_m2m100(pieces: Path, tmp_path: Path) -> None:
    words = vocabulary(pieces)
    (tmp_path / "vocab.json").write_text(json.dumps(words))
    tokenizer = M2M100Tokenizer(str(tmp_path / "vocab.json"), str(pieces))
    tokenizer.save_pretrained(tmp_path / "model")
    config = M2M100Config(vocab_size=len(words) + 200, decoder_start_token_id=2, **SMALL)
    save(M2M100ForConditionalGeneration(config), tmp_path / "model", 2)
    model = Seq2Seq(tmp_path / "model", ENGLISH, POLISH, beams=1)
    assert model._begin == tokenizer.get_lang_id("pl")
    assert ask(model, "The market")[0].failure in (None, "The translation is empty.")
    assert model._tokenizer("x").input_ids[0] == tokenizer.get_lang_id("en")


@pytest.mark.parametrize("several", [False, True])
def test_marian(several: bool, pieces: Path, tmp_path: Path) -> None:
    words = vocabulary(pieces, *([">>pol<<", ">>ces<<"] if several else []))
    for name in ("source.spm", "target.spm"):
        (tmp_path / name).write_bytes(pieces.read_bytes())
    (tmp_path / "vocab.json").write_text(json.dumps(words))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "MarianTokenizer"}')
    config = MarianConfig(
        vocab_size=len(words), pad_token_id=1, eos_token_id=2, decoder_start_token_id=1, forced_eos_token_id=2, **SMALL
    )
    save(MarianMTModel(config), tmp_path, 2)
    model = Seq2Seq(tmp_path, ENGLISH, POLISH, beams=1)
    assert model._prefix == (">>pol<< " if several else "")
    (reply,) = ask(model, "The market opened at six")
    assert reply.failure in (None, "The translation is empty.")
    if several:
        assert model._tokenizer(">>pol<< The").input_ids[0] == words[">>pol<<"]
        with pytest.raises(InputError, match='the model has no language "hun" for Hungarian'):
            Seq2Seq(tmp_path, ENGLISH, find("hu"))


def test_t5_is_told_in_words(tiny_base: Path, tmp_path: Path) -> None:
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(tmp_path)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    config = T5Config(vocab_size=400, pad_token_id=2, eos_token_id=1, decoder_start_token_id=2, **sizes)
    save(T5ForConditionalGeneration(config), tmp_path, 1)
    model = Seq2Seq(tmp_path, ENGLISH, POLISH, beams=2)
    text = "The market opened"
    prompt = f"translate English to Polish: {text}"
    size = len(AutoTokenizer.from_pretrained(tmp_path)(prompt).input_ids)
    assert ask(model, text)[0].text == alone(tmp_path, prompt, 3 * size + 32)
    assert Seq2Seq(tmp_path, ENGLISH, POLISH, prefix="<2pl> ").identity != model.identity


def test_folders_without_such_a_model(tiny_base: Path, nllb: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"it has no config.json"):
        Seq2Seq(tmp_path, ENGLISH, POLISH)
    with pytest.raises(InputError, match="a llama model is no translation model with an encoder"):
        Seq2Seq(tiny_base, ENGLISH, POLISH)
    (tmp_path / "config.json").write_text((nllb / "config.json").read_text())
    with pytest.raises(InputError, match="no weights as safetensors"):
        Seq2Seq(tmp_path, ENGLISH, POLISH)


def test_a_model_that_must_be_told_the_codes(tiny_base: Path, nllb: Path, tmp_path: Path) -> None:
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(tmp_path)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((nllb / name).read_bytes())
    with pytest.raises(InputError, match="it is not known how a m2m_100 model is told the languages"):
        Seq2Seq(tmp_path, ENGLISH, POLISH)


@pytest.mark.parametrize(
    ("tag", "nllb_code", "m2m_code"),
    [
        *(("pl", "pol_Latn", "pl"), ("zh-Hant", "zho_Hant", "zh"), ("zh", "zho_Hans", "zh"), ("ar", "arb_Arab", "ar")),
        *(
            ("nb", "nob_Latn", "no"),
            ("sr-Cyrl", "srp_Cyrl", "sr"),
            ("szl", "szl_Latn", "szl"),
            ("fa", "pes_Arab", "fa"),
        ),
        *(("pt-BR", "por_Latn", "pt"), ("ja", "jpn_Jpan", "ja"), ("ko", "kor_Hang", "ko"), ("et", "est_Latn", "et")),
    ],
)
def test_codes(tag: str, nllb_code: str, m2m_code: str) -> None:
    assert codes.nllb(find(tag)) == nllb_code
    assert codes.m2m100(find(tag)) == m2m_code


def test_most_languages_of_nllb_are_found_by_their_codes() -> None:
    from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES

    missed = [code for code in FAIRSEQ_LANGUAGE_CODES if codes.nllb(find(code.replace("_", "-"))) != code]
    assert len(FAIRSEQ_LANGUAGE_CODES) > 200
    assert len(missed) < 20, missed
