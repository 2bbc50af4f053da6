"""`tokenizer.model`, the SentencePiece file of a tokenizer, kept in step with its tokenizer.json."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from sentencepiece import SentencePieceProcessor
from sentencepiece import sentencepiece_model_pb2 as proto
from tokenizers import Tokenizer

from lingraft.core.errors import InputError

from . import kind
from .method import Extended, Source, Texts

NAME = "tokenizer.model"
SAMPLE_DOCUMENTS, SAMPLE_CHARACTERS = 100, 5000
Piece = proto.ModelProto.SentencePiece


def read(folder: Path) -> proto.ModelProto | None:
    """The parsed file; None where there is none, or one of another kind (Llama-3's is a list of tiktoken ranks)."""
    path = folder / NAME
    if not path.is_file():
        return None
    model = proto.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError:
        return None
    return model if model.pieces else None


def extend(source: Source, folder: Path, made: Extended, texts: Texts) -> dict[str, Any] | None:
    """Write the file that goes with the tokenizer.json in `folder`; how often the two agree on text, before and after.

    SentencePiece makes a token of any two neighbours that spell it, highest score first: the new ones get scores below
    all old ones, in the order of their rank; of a Unigram, their own. None where the base has no such file.
    """
    model = read(source.folder)
    if model is None:
        return None
    old = {piece.piece: piece for piece in model.pieces}
    scores = _scores(model, made)
    vocabulary = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab(with_added_tokens=True)
    by_id = {index: token for token, index in vocabulary.items()}
    pieces = []
    for index in range(max(by_id) + 1):
        token = by_id.get(index)
        if token is None:
            pieces.append(Piece(piece=f"<unused_{index}>", type=Piece.UNUSED))
        elif token in old and token not in scores:
            pieces.append(old[token])
        elif token in scores:
            pieces.append(Piece(piece=token, score=scores[token], type=Piece.NORMAL))
        else:  # an added token that the file did not have
            pieces.append(Piece(piece=token, type=Piece.USER_DEFINED))
    del model.pieces[:]
    model.pieces.extend(pieces)
    model.trainer_spec.vocab_size = len(pieces)
    (folder / NAME).write_bytes(model.SerializeToString())
    sample = [text[:SAMPLE_CHARACTERS] for part in (texts.target, texts.replay) for text in _first(part)]
    return {"before": agreement(source.folder, sample), "after": agreement(folder, sample)}


def agreement(folder: Path, texts: Iterable[str]) -> dict[str, int]:
    """On how many texts tokenizer.model and tokenizer.json give the same ids.

    Raises InputError when SentencePiece cannot load its file.
    """
    try:
        processor = SentencePieceProcessor(model_file=str(folder / NAME))
    except RuntimeError as error:
        raise InputError(
            f"SentencePiece does not load it: {error}", where=folder / NAME, remedy="Download the file again."
        ) from error
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    documents = agreeing = 0
    for text in texts:
        documents += 1
        agreeing += processor.encode(text) == tokenizer.encode(text, add_special_tokens=False).ids
    return {"documents": documents, "agreeing": agreeing}


def _first(texts: Iterable[str]) -> Iterable[str]:
    return islice(texts, SAMPLE_DOCUMENTS)


def _scores(model: proto.ModelProto, made: Extended) -> dict[str, float]:
    if made.content["model"]["type"] == kind.UNIGRAM:
        return dict(made.content["model"]["vocab"])
    if made.ahead:
        return dict.fromkeys(made.new_tokens, 0.0)
    scores, score = {}, np.float32(min(piece.score for piece in model.pieces))
    for token in made.new_tokens:
        # Scores are float32, and Llama-2 has a piece of -1e9: one less would be the same number there.
        score = min(score - np.float32(1), np.nextafter(score, np.float32(-np.inf)))
        scores[token] = float(score)
    return scores
