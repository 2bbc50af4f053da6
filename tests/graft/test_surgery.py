import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from made_tokenizers import NEW, edited, save_extended
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from conftest import save_llama, save_tokenizer
from lingraft.core.errors import InputError, RecipeError
from lingraft.graft import initialize

HEAD = "lm_head.weight"
EMBEDDING = "model.embed_tokens.weight"
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}

BaseOf = Callable[[PreTrainedModel], Path]


class TwoTablesConfig(LlamaConfig):
    model_type = "two_tables"


class TwoTablesForCausalLM(LlamaForCausalLM):
    config_class = TwoTablesConfig

    def __init__(self, config: TwoTablesConfig) -> None:
        super().__init__(config)
        self.second = torch.nn.Embedding(config.vocab_size, 4)


AutoConfig.register("two_tables", TwoTablesConfig)
AutoModelForCausalLM.register(TwoTablesConfig, TwoTablesForCausalLM)


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= load_file(path)
    return found


def slow_mean(table: torch.Tensor, old: Path, new: Path, row: int) -> list[float]:
    """The mean for one new id from the paper: decode the token, encode it with the old tokenizer, average."""
    token = AutoTokenizer.from_pretrained(new).convert_ids_to_tokens(row)
    pieces = AutoTokenizer.from_pretrained(old).backend_tokenizer.model.tokenize(token)
    lines = [table[piece.id].tolist() for piece in pieces]
    return [sum(column) / len(lines) for column in zip(*lines, strict=True)]


@pytest.fixture
def base_of(tiny_base: Path, tmp_path: Path) -> BaseOf:
    def save(model: PreTrainedModel) -> Path:
        folder = tmp_path / "base"
        shutil.copytree(tiny_base, folder, ignore=shutil.ignore_patterns("*.safetensors"))
        model.save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope="module")
def extended(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_extended(tiny_base, tmp_path_factory.mktemp("extended"))


def check(base: Path, extended: Path, folder: Path, names: list[str], *, rows: int = 430) -> None:
    """Only new rows changed, each of them the mean from its own table; the model loads whole and agrees on old text."""
    before, after = tensors(base), tensors(folder)
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        if name not in names:
            assert torch.equal(tensor, after[name])
            continue
        assert after[name].dtype == tensor.dtype
        assert len(after[name]) == rows
        assert torch.equal(after[name][:400], tensor[:400])
        assert torch.equal(after[name][430:], tensor[430:])
        table = tensor if tensor.ndim == 2 else tensor[:, None]
        for row in (400, 415, 429):
            expected = torch.tensor(slow_mean(table.double(), base, extended, row))
            assert torch.allclose(after[name][row].double().reshape(-1), expected.double(), atol=1e-6)
    model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values())
    assert model.get_input_embeddings().weight.shape[0] == model.get_output_embeddings().weight.shape[0] == rows
    ids = AutoTokenizer.from_pretrained(folder)("The river", return_tensors="pt").input_ids
    old = AutoModelForCausalLM.from_pretrained(base)
    assert torch.allclose(model(ids).logits[..., :400], old(ids).logits[..., :400], atol=1e-5)


def test_a_tied_model_has_its_one_table_grown(tiny_base: Path, extended: Path, tmp_path: Path) -> None:
    figures = initialize(tiny_base, extended, tmp_path)
    check(tiny_base, extended, tmp_path, [EMBEDDING])
    assert (figures["tied"], figures["old_rows"], figures["rows"]) == (True, 400, 430)
    assert (figures["new_rows"], figures["rows_from_subwords"], figures["rows_random"]) == (NEW, NEW, 0)
    assert figures["mean_pieces"] > 2
    assert figures["new_row_norm"]["min"] <= figures["new_row_norm"]["mean"] <= figures["new_row_norm"]["max"]
    assert "output_new_row_norm" not in figures
    assert json.dumps(figures)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert model.config.vocab_size == 430
    assert (tmp_path / "generation_config.json").read_bytes() == (tiny_base / "generation_config.json").read_bytes()
    assert (tmp_path / "tokenizer.json").read_bytes() == (extended / "tokenizer.json").read_bytes()


def test_an_untied_model_has_each_table_grown_from_itself(
    tiny_untied_base: Path, extended: Path, tmp_path: Path
) -> None:
    figures = initialize(tiny_untied_base, extended, tmp_path)
    check(tiny_untied_base, extended, tmp_path, [EMBEDDING, HEAD])
    assert not figures["tied"]
    assert figures["output_new_row_norm"] != figures["new_row_norm"]


def test_shards_without_a_table_are_copied_and_the_index_adds_up(
    tiny_untied_base: Path, extended: Path, tmp_path: Path
) -> None:
    base, folder = tmp_path / "base", tmp_path / "new"
    shutil.copytree(tiny_untied_base, base)
    (base / "model.safetensors").unlink()
    LlamaForCausalLM.from_pretrained(tiny_untied_base).save_pretrained(base, max_shard_size="60KB")
    shards = sorted(path.name for path in base.glob("*.safetensors"))
    assert len(shards) >= 3
    initialize(base, extended, folder)
    check(base, extended, folder, [EMBEDDING, HEAD])
    weight_map = json.loads((base / "model.safetensors.index.json").read_text())["weight_map"]
    for shard in set(shards) - {weight_map[EMBEDDING], weight_map[HEAD]}:
        assert (folder / shard).read_bytes() == (base / shard).read_bytes()
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    after = tensors(folder)
    assert index["weight_map"] == weight_map
    assert index["metadata"]["total_size"] == sum(tensor.numel() * tensor.element_size() for tensor in after.values())
    assert index["metadata"]["total_parameters"] == sum(tensor.numel() for tensor in after.values())


@pytest.mark.parametrize(("padded", "rows"), [(416, 430), (512, 512)])
def test_padding_rows_are_taken_first_and_nothing_shrinks(
    padded: int, rows: int, tiny_base: Path, extended: Path, tmp_path: Path
) -> None:
    base, folder = tmp_path / "base", tmp_path / "new"
    shutil.copytree(tiny_base, base)
    save_llama(base, tied=False, rows=padded)
    figures = initialize(base, extended, folder)
    assert (figures["old_rows"], figures["rows"]) == (padded, rows)
    check(base, extended, folder, [EMBEDDING, HEAD], rows=rows)


def test_half_precision_and_the_metadata_of_the_file_are_kept(tiny_base: Path, extended: Path, tmp_path: Path) -> None:
    base, folder = tmp_path / "base", tmp_path / "new"
    shutil.copytree(tiny_base, base)
    LlamaForCausalLM.from_pretrained(tiny_base, dtype=torch.bfloat16).save_pretrained(base)
    initialize(base, extended, folder)
    table = tensors(folder)[EMBEDDING]
    assert table.dtype == torch.bfloat16
    expected = torch.tensor(slow_mean(tensors(base)[EMBEDDING].double(), base, extended, 420)).bfloat16()
    assert torch.equal(table[420], expected)
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_the_bias_of_a_head_grows_too(base_of: BaseOf, extended: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = PhiForCausalLM(PhiConfig(vocab_size=400, **SMALL, max_position_embeddings=64))
    torch.nn.init.normal_(model.lm_head.bias)
    base = base_of(model)
    initialize(base, extended, tmp_path / "new")
    check(base, extended, tmp_path / "new", [EMBEDDING, HEAD, "lm_head.bias"])


def test_other_architectures_have_their_tables_found(base_of: BaseOf, extended: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=400, **SMALL, num_key_value_heads=2, num_local_experts=4, max_position_embeddings=64
    )
    base = base_of(MixtralForCausalLM(config))
    initialize(base, extended, tmp_path / "new")
    check(base, extended, tmp_path / "new", [EMBEDDING, HEAD])


def test_a_checkpoint_without_the_prefix_of_the_base_model(base_of: BaseOf, extended: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    base = base_of(GPT2LMHeadModel(GPT2Config(vocab_size=400, n_embd=32, n_layer=2, n_head=4, n_positions=64)))
    bare = {name.removeprefix("transformer."): tensor for name, tensor in tensors(base).items()}
    save_file(bare, base / "model.safetensors", {"format": "pt"})
    assert initialize(base, extended, tmp_path / "new")["tied"]
    check(base, extended, tmp_path / "new", ["wte.weight"])


def test_a_checkpoint_that_holds_the_model_under_another_name(
    tiny_untied_base: Path, extended: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_untied_base, base)
    under = {f"language_model.{name}": tensor for name, tensor in tensors(base).items()}
    save_file(under, base / "model.safetensors", {"format": "pt"})
    initialize(base, extended, tmp_path / "new")
    after = tensors(tmp_path / "new")
    assert [name for name in under if under[name].shape != after[name].shape] == [
        f"language_model.{name}" for name in (HEAD, EMBEDDING)
    ]


def test_a_tied_table_that_is_stored_twice_stays_one(tiny_base: Path, extended: Path, tmp_path: Path) -> None:
    base, folder = tmp_path / "base", tmp_path / "new"
    shutil.copytree(tiny_base, base)
    stored = tensors(base)
    save_file({**stored, HEAD: stored[EMBEDDING].clone()}, base / "model.safetensors", {"format": "pt"})
    for strategy in ("subwords", "gaussian"):
        assert initialize(base, extended, folder, strategy=strategy)["tied"]
        assert torch.equal(tensors(folder)[HEAD], tensors(folder)[EMBEDDING])


def test_gaussian_counts_as_random_and_the_two_tables_draw_apart(
    tiny_untied_base: Path, extended: Path, tmp_path: Path
) -> None:
    figures = initialize(tiny_untied_base, extended, tmp_path / "a", strategy="gaussian", seed=5)
    initialize(tiny_untied_base, extended, tmp_path / "b", strategy="gaussian", seed=5)
    assert (figures["rows_from_subwords"], figures["rows_random"]) == (0, NEW)
    first, second = tensors(tmp_path / "a"), tensors(tmp_path / "b")
    assert all(torch.equal(first[name], second[name]) for name in first)
    drawn = torch.stack([first[EMBEDDING][400:].flatten(), first[HEAD][400:].flatten()])
    assert abs(torch.corrcoef(drawn)[0, 1]) < 0.2


def test_added_tokens_are_spelled_as_text_and_one_without_spelling_is_counted(tiny_base: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    tokenizer.add_special_tokens({"extra_special_tokens": ["<|river|>"]})
    tokenizer.add_tokens(["<|bos|><|eos|>"])  # nothing but control tokens
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    figures = initialize(tiny_base, tmp_path / "tokenizer", tmp_path / "new")
    assert (figures["rows_from_subwords"], figures["rows_random"]) == (1, 1)
    pieces = AutoTokenizer.from_pretrained(tiny_base)("<|river|>", add_special_tokens=False).input_ids
    table = tensors(tmp_path / "new")[EMBEDDING]
    assert torch.allclose(table[tokenizer.convert_tokens_to_ids("<|river|>")], table[pieces].mean(dim=0))


def test_one_strategy_for_the_embedding_and_another_for_the_head(
    tiny_untied_base: Path, extended: Path, tmp_path: Path
) -> None:
    figures = initialize(tiny_untied_base, extended, tmp_path / "a", strategy="subwords", output_strategy="gaussian")
    assert (figures["strategy"], figures["output_strategy"]) == ("subwords", "gaussian")
    assert [figures["sides"][side]["rows_random"] for side in ("input", "output")] == [0, NEW]
    means = tensors(tmp_path / "a")
    initialize(tiny_untied_base, extended, tmp_path / "b", strategy="subwords")
    assert torch.equal(means[EMBEDDING], tensors(tmp_path / "b")[EMBEDDING])
    assert not torch.equal(means[HEAD], tensors(tmp_path / "b")[HEAD])
    initialize(tiny_untied_base, extended, tmp_path / "c", strategy="gaussian", output_strategy="gaussian")
    drawn = tensors(tmp_path / "c")
    assert not torch.equal(drawn[EMBEDDING][400:], means[HEAD][400:])


def test_scaled_embeddings_are_read_as_before(tiny_base: Path, base_of: BaseOf, extended: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    base = base_of(GemmaForCausalLM(GemmaConfig(vocab_size=400, **SMALL, num_key_value_heads=2, head_dim=8)))
    initialize(base, extended, tmp_path / "new")
    check(base, extended, tmp_path / "new", [EMBEDDING])
    ids = torch.tensor([[0, 50, 300, 399]])
    before, after = (
        AutoModelForCausalLM.from_pretrained(folder).model(ids).last_hidden_state for folder in (base, tmp_path / "new")
    )
    assert torch.equal(before, after)


def test_the_same_tokenizer_leaves_every_byte(tiny_untied_base: Path, tmp_path: Path) -> None:
    figures = initialize(tiny_untied_base, tiny_untied_base, tmp_path)
    assert (figures["new_rows"], figures["rows_copied"], figures["rows"]) == (0, 400, 400)
    assert "new_row_norm" not in figures
    for name in ("model.safetensors", "config.json", "generation_config.json", "tokenizer.json"):
        assert (tmp_path / name).read_bytes() == (tiny_untied_base / name).read_bytes()


def test_replaced_tokens_give_their_ids_to_new_ones(tiny_untied_base: Path, tmp_path: Path) -> None:
    def replace(content: dict[str, Any]) -> None:
        model = content["model"]
        last = model["merges"].pop()
        model["vocab"] = {token: index for token, index in model["vocab"].items() if token != "".join(last)}
        model["merges"].append(["x", "q"])
        model["vocab"]["xq"] = 399

    tokenizer = edited(tiny_untied_base, tmp_path / "tokenizer", replace)
    figures = initialize(tiny_untied_base, tokenizer, tmp_path / "new")
    assert (figures["new_rows"], figures["rows_dropped"], figures["rows"]) == (1, 1, 400)
    before, after = tensors(tiny_untied_base), tensors(tmp_path / "new")
    pieces = AutoTokenizer.from_pretrained(tiny_untied_base).convert_tokens_to_ids(["x", "q"])
    for name in (EMBEDDING, HEAD):
        assert torch.equal(before[name][:399], after[name][:399])
        assert torch.allclose(after[name][399], before[name][pieces].mean(dim=0))


@pytest.mark.parametrize("padded", [400, 416])
def test_pruned_tokens_leave_and_the_others_close_up(padded: int, tiny_base: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    save_llama(base, tied=False, rows=padded)

    def prune(content: dict[str, Any]) -> None:
        model = content["model"]
        gone = {"".join(merge) for merge in model["merges"][-5:]}
        model["merges"] = model["merges"][:-5]
        kept = sorted((index, token) for token, index in model["vocab"].items() if token not in gone)
        model["vocab"] = {token: index for index, (_, token) in enumerate(reversed(kept))}
        for token in content["added_tokens"]:
            token["id"] = model["vocab"][token["content"]]

    figures = initialize(base, edited(base, tmp_path / "tokenizer", prune), tmp_path / "new")
    assert (figures["new_rows"], figures["rows_dropped"], figures["rows_copied"], figures["rows"]) == (0, 5, 395, 395)
    old, new = AutoTokenizer.from_pretrained(base), AutoTokenizer.from_pretrained(tmp_path / "new")
    before, after = tensors(base), tensors(tmp_path / "new")
    for token, index in new.get_vocab().items():
        for name in (EMBEDDING, HEAD):
            assert torch.equal(after[name][index], before[name][old.get_vocab()[token]])
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "new")
    assert model.config.bos_token_id == model.generation_config.bos_token_id == new.bos_token_id == 394
    assert model.config.eos_token_id == new.eos_token_id == 393


def test_a_swapped_tokenizer_keeps_the_rows_of_shared_tokens(
    tiny_base: Path, tmp_path: Path, polish: list[str]
) -> None:
    save_tokenizer(tmp_path / "swapped", polish, size=380)
    figures = initialize(tiny_base, tmp_path / "swapped", tmp_path / "new")
    old, new = AutoTokenizer.from_pretrained(tiny_base), AutoTokenizer.from_pretrained(tmp_path / "new")
    shared = old.get_vocab().keys() & new.get_vocab().keys()
    assert (figures["rows_copied"], figures["new_rows"]) == (len(shared), 380 - len(shared))
    assert figures["rows"] == 380
    before, after = tensors(tiny_base)[EMBEDDING], tensors(tmp_path / "new")[EMBEDDING]
    for token in shared:
        assert torch.equal(after[new.get_vocab()[token]], before[old.get_vocab()[token]])
    token = next(token for token in new.get_vocab() if token not in shared)
    pieces = [piece.id for piece in old.backend_tokenizer.model.tokenize(token)]
    assert torch.allclose(after[new.get_vocab()[token]], before[pieces].mean(dim=0), atol=1e-6)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "new")
    assert model(new(polish[0], return_tensors="pt").input_ids).logits.isfinite().all()


class TestRefusals:
    @pytest.fixture
    def base(self, tiny_base: Path, tmp_path: Path) -> Path:
        return Path(shutil.copytree(tiny_base, tmp_path / "base"))

    def refuse(self, base: Path, tokenizer: Path, message: str) -> None:
        with pytest.raises(InputError, match=message):
            initialize(base, tokenizer, base.parent / "new")

    def test_pickled_weights(self, base: Path, extended: Path) -> None:
        (base / "model.safetensors").rename(base / "pytorch_model.bin")
        self.refuse(base, extended, r"the weights are pickled \(pytorch_model.bin\)(.|\n)*save_pretrained")

    def test_no_weights(self, base: Path, extended: Path) -> None:
        (base / "model.safetensors").unlink()
        self.refuse(base, extended, "there are no weights here")

    def test_damaged_weights(self, base: Path, extended: Path) -> None:
        path = base / "model.safetensors"
        path.write_bytes(path.read_bytes()[:1000])
        self.refuse(base, extended, r"the weights cannot be read(.|\n)*Download the file again")

    def test_a_missing_shard(self, base: Path, extended: Path) -> None:
        index = {"weight_map": {EMBEDDING: "model-00001-of-00002.safetensors"}}
        (base / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
        self.refuse(base, extended, "1 weight files of the index are not there, first model-00001-of-00002.safetensors")

    def test_a_tokenizer_that_shares_nothing(self, base: Path, tmp_path: Path) -> None:
        tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "słowo": 1}, unk_token="[UNK]"))
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]").save_pretrained(tmp_path / "other")
        self.refuse(base, tmp_path / "other", r"shares no token with that of the base(.|\n)*of this very base")

    def test_a_control_token_of_the_config_that_is_gone(self, base: Path, tmp_path: Path) -> None:
        def without_eos(content: dict[str, Any]) -> None:
            del content["model"]["vocab"]["<|eos|>"]
            content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] != "<|eos|>"]

        edited(base, tmp_path / "tokenizer", without_eos)
        settings = json.loads((tmp_path / "tokenizer/tokenizer_config.json").read_text(encoding="utf-8"))
        settings["eos_token"] = "<|bos|>"
        (tmp_path / "tokenizer/tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
        self.refuse(
            base, tmp_path / "tokenizer", r"eos_token_id of the model is 1, a token(.|\n)*Keep the special tokens"
        )

    def test_a_head_that_is_missing(self, base: Path, extended: Path) -> None:
        config = json.loads((base / "config.json").read_text())
        (base / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
        self.refuse(base, extended, r"the weights have no lm_head.weight(.|\n)*tie_word_embeddings")

    def test_fewer_rows_than_tokens(self, base: Path, extended: Path) -> None:
        save_llama(base, tied=True, rows=399)
        self.refuse(base, extended, "has 399 rows, config.json says 399, the tokenizer uses 400 ids")

    @pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn])
    def test_quantized_tables(self, dtype: torch.dtype, base: Path, extended: Path) -> None:
        stored = tensors(base)
        save_file({**stored, EMBEDDING: stored[EMBEDDING].to(dtype)}, base / "model.safetensors")
        self.refuse(base, extended, f"is stored as {dtype}: it is quantized")

    def test_two_strategies_for_one_table(self, base: Path, extended: Path) -> None:
        with pytest.raises(InputError, match="one table for input and output, and two strategies were chosen"):
            initialize(base, extended, base.parent / "new", strategy="subwords", output_strategy="gaussian")

    def test_an_option_that_is_none(self, base: Path, extended: Path) -> None:
        with pytest.raises(RecipeError, match=r'options.sed: there is no option "sed"'):
            initialize(base, extended, base.parent / "new", strategy="gaussian", options={"sed": 1})

    def test_not_a_causal_model(self, base: Path, extended: Path) -> None:
        (base / "config.json").write_text('{"model_type": "vit"}')
        self.refuse(base, extended, "transformers cannot build this model")

    def test_more_tables_than_embedding_and_head(self, base: Path, extended: Path) -> None:
        config = json.loads((base / "config.json").read_text())
        (base / "config.json").write_text(json.dumps({**config, "model_type": "two_tables"}))
        self.refuse(base, extended, r"this model has a row per token in second.weight(.|\n)*keep the vocabulary")

    def test_an_unknown_strategy(self, base: Path, extended: Path) -> None:
        with pytest.raises(RecipeError, match=r'no graft strategy is called "subword"(.|\n)*"subwords"'):
            initialize(base, extended, base.parent / "new", strategy="subword")
