import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from made_tokenizers import edited, save_extended, save_sentencepiece
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from conftest import save_llama, save_tokenizer
from lingraft.core.errors import InputError
from lingraft.graft import initialize
from lingraft.graft.chat_vector import add
from lingraft.tokenizer import family

TEMPLATE = "{% for m in messages %}<|bos|>{{ m.role }}: {{ m.content }}<|eos|>{% endfor %}"


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= load_file(path)
    return found


def moved(folder: Path, seed: int, *, dtype: torch.dtype | None = None, size: str = "10GB") -> None:
    """Change every weight of a model a little, as a training does."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=generator)
    for path in folder.glob("*.safetensors"):
        path.unlink()
    model.to(dtype or torch.float32).save_pretrained(folder, max_shard_size=size)


def made_instruct(base: Path, folder: Path, seed: int = 8, **how: object) -> Path:
    shutil.copytree(base, folder)
    moved(folder, seed, **how)
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    set_json(folder / "generation_config.json", eos_token_id=[1, 2], temperature=0.6)
    return folder


def set_json(path: Path, **values: object) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | values), encoding="utf-8")


@pytest.fixture(scope="module")
def extended(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_extended(tiny_base, tmp_path_factory.mktemp("extended"))


@pytest.fixture(scope="module", params=["tied", "untied"])
def base(request: pytest.FixtureRequest, tiny_base: Path, tiny_untied_base: Path) -> Path:
    return tiny_base if request.param == "tied" else tiny_untied_base


@pytest.fixture
def instruct(base: Path, tmp_path: Path) -> Path:
    return made_instruct(base, tmp_path / "instruct")


@pytest.fixture
def adapted(base: Path, extended: Path, tmp_path: Path) -> Path:
    """Of 430 rows, every weight moved."""
    initialize(base, extended, tmp_path / "adapted")
    moved(tmp_path / "adapted", 9)
    return tmp_path / "adapted"


def slow(adapted: Path, base: Path, instruct: Path, weight: float) -> dict[str, torch.Tensor]:
    """The sum over whole tensors, rows found one by one by the string of their token."""
    ours, before, tuned = (
        AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32) for path in (adapted, base, instruct)
    )
    ids, base_ids, instruct_ids = (
        AutoTokenizer.from_pretrained(path).get_vocab() for path in (adapted, base, instruct)
    )
    stored, change, start = ours.state_dict(), tuned.state_dict(), before.state_dict()
    made = {}
    for name, tensor in stored.items():
        made[name] = tensor.clone()
        if name not in ("model.embed_tokens.weight", "lm_head.weight"):
            made[name] += weight * (change[name] - start[name])
            continue
        for token, index in ids.items():
            if token in base_ids and token in instruct_ids:
                made[name][index] += weight * (change[name][instruct_ids[token]] - start[name][base_ids[token]])
    return made


def check_against_slow(result: Path, adapted: Path, base: Path, instruct: Path, weight: float, atol: float) -> None:
    model, report = AutoModelForCausalLM.from_pretrained(result, output_loading_info=True)
    assert not any(report.values())
    expected = slow(adapted, base, instruct, weight)
    found = model.state_dict()
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.allclose(found[name].float(), tensor, atol=atol), name


@pytest.mark.parametrize("weight", [1.0, 0.4])
def test_the_sum_is_that_of_whole_tensors(
    weight: float, adapted: Path, base: Path, instruct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lingraft.graft.chat_vector.PART_ELEMENTS", 500)  # several parts of each tensor
    figures = add(adapted, base, instruct, tmp_path / "sum", weight=weight)
    check_against_slow(tmp_path / "sum", adapted, base, instruct, weight, atol=1e-6)
    assert (figures["rows_moved"], figures["rows_kept"], figures["tensors_kept"]) == (400, 30, 0)
    before, after = tensors(adapted), tensors(tmp_path / "sum")
    assert before.keys() == after.keys()
    for name in before.keys() & {"model.embed_tokens.weight", "lm_head.weight"}:
        assert torch.equal(before[name][400:], after[name][400:])
        assert not torch.equal(before[name][:400], after[name][:400])


def test_the_base_itself_becomes_the_instruct_model(base: Path, instruct: Path, tmp_path: Path) -> None:
    figures = add(base, base, instruct, tmp_path / "sum")
    before, after = tensors(instruct), tensors(tmp_path / "sum")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (figures["language_vector_norm"], figures["cosine"]) == (0.0, None)


def test_without_weight_nothing_moves(adapted: Path, base: Path, instruct: Path, tmp_path: Path) -> None:
    add(adapted, base, instruct, tmp_path / "sum", weight=0.0)
    before, after = tensors(adapted), tensors(tmp_path / "sum")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_figures_are_those_of_the_differences(adapted: Path, base: Path, instruct: Path, tmp_path: Path) -> None:
    figures = add(adapted, base, instruct, tmp_path / "sum")
    ours, before, tuned = tensors(adapted), tensors(base), tensors(instruct)
    chat = torch.cat([(tuned[name] - before[name]).reshape(-1) for name in before]).double()
    language = torch.cat([(ours[name][: len(before[name])] - before[name]).reshape(-1) for name in before]).double()
    assert figures["chat_vector_norm"] == pytest.approx(chat.norm().item(), rel=1e-5)
    assert figures["language_vector_norm"] == pytest.approx(language.norm().item(), rel=1e-5)
    assert figures["cosine"] == pytest.approx((chat @ language / chat.norm() / language.norm()).item(), abs=1e-5)


def test_shards_and_types_are_those_of_the_adapted_model(base: Path, extended: Path, tmp_path: Path) -> None:
    instruct = made_instruct(base, tmp_path / "instruct", dtype=torch.bfloat16, size="40KB")
    initialize(base, extended, tmp_path / "adapted")
    moved(tmp_path / "adapted", 9, dtype=torch.float16, size="30KB")
    add(tmp_path / "adapted", base, instruct, tmp_path / "sum")
    files = {path.name for path in (tmp_path / "sum").glob("model*")}
    assert len(files) > 3
    assert files == {path.name for path in (tmp_path / "adapted").glob("model*")}
    assert {tensor.dtype for tensor in tensors(tmp_path / "sum").values()} == {torch.float16}
    check_against_slow(tmp_path / "sum", tmp_path / "adapted", base, instruct, 1.0, atol=2e-3)


def test_padding_moves_with_its_row(tmp_path: Path, tiny_base: Path) -> None:
    shutil.copytree(tiny_base, tmp_path / "base")
    save_llama(tmp_path / "base", tied=False, rows=416)
    instruct = made_instruct(tmp_path / "base", tmp_path / "instruct")
    figures = add(tmp_path / "base", tmp_path / "base", instruct, tmp_path / "sum")
    assert (figures["rows_moved"], figures["rows_kept"]) == (416, 0)
    before, after = tensors(instruct), tensors(tmp_path / "sum")
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("make", ["shifted", "sentencepiece"])
def test_rows_are_found_where_ids_moved(make: str, tmp_path: Path, tiny_untied_base: Path) -> None:
    base = shutil.copytree(tiny_untied_base, tmp_path / "base")
    for name in ("config.json", "generation_config.json"):
        set_json(base / name, pad_token_id=None)  # the other tokenizer has none
    instruct = made_instruct(base, tmp_path / "instruct")
    set_json(instruct / "generation_config.json", eos_token_id=[1])
    (instruct / "chat_template.jinja").unlink()
    if make == "sentencepiece":
        other = save_sentencepiece(tmp_path / "other")
    else:

        def shift(content: dict) -> None:
            """The last hundred tokens are gone, and all but the control tokens are ten further on."""
            vocab = content["model"]["vocab"]
            kept = {token: index if index < 3 else index + 10 for token, index in vocab.items() if index < 300}
            content["model"]["vocab"] = kept
            content["model"]["merges"] = [pair for pair in content["model"]["merges"] if "".join(pair) in kept]

        other = edited(base, tmp_path / "other", shift)
    initialize(base, other, tmp_path / "adapted")
    figures = add(tmp_path / "adapted", base, instruct, tmp_path / "sum")
    if make == "shifted":
        assert (figures["rows_moved"], figures["rows_kept"]) == (300, 10)
        check_against_slow(tmp_path / "sum", tmp_path / "adapted", base, instruct, 1.0, atol=1e-6)
    else:
        assert figures["rows_moved"] > 256
        name = "model.embed_tokens.weight"
        new, old = (AutoTokenizer.from_pretrained(path).get_vocab() for path in (other, base))
        for mine, theirs in ((new["▁the"], old["Ġthe"]), (new["</s>"], old["<|eos|>"]), (new["<0xC5>"], old["Å"])):
            assert torch.equal(tensors(tmp_path / "sum")[name][mine], tensors(instruct)[name][theirs])
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "sum")
    assert tokenizer.eos_token == AutoTokenizer.from_pretrained(other).eos_token
    told = json.loads((tmp_path / "sum" / "generation_config.json").read_text(encoding="utf-8"))
    assert told["eos_token_id"] == [tokenizer.eos_token_id]


def test_the_settings_of_an_assistant_go_along(adapted: Path, base: Path, instruct: Path, tmp_path: Path) -> None:
    set_json(instruct / "tokenizer_config.json", eos_token="<|pad|>")
    set_json(instruct / "config.json", eos_token_id=2)
    (adapted / "chat_template.jinja").write_text("of the adapted model", encoding="utf-8")
    add(adapted, base, instruct, tmp_path / "sum")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "sum")
    assert tokenizer.chat_template == TEMPLATE
    assert tokenizer.apply_chat_template([{"role": "user", "content": "Zażółć"}], tokenize=False) == (
        "<|bos|>user: Zażółć<|eos|>"
    )
    assert (tokenizer.eos_token, tokenizer.bos_token, len(tokenizer)) == ("<|pad|>", "<|bos|>", 430)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "sum")
    assert (model.generation_config.eos_token_id, model.generation_config.temperature) == ([1, 2], 0.6)
    assert (model.config.eos_token_id, model.config.vocab_size) == (2, 430)
    assert (tmp_path / "sum" / "tokenizer.json").read_bytes() == (adapted / "tokenizer.json").read_bytes()


def test_a_template_in_the_old_place_goes_along(base: Path, tmp_path: Path) -> None:
    instruct = made_instruct(base, tmp_path / "instruct")
    (instruct / "chat_template.jinja").unlink()
    (instruct / "generation_config.json").unlink()
    named = [{"name": "default", "template": TEMPLATE}, {"name": "rag", "template": "{{ documents }}"}]
    set_json(instruct / "tokenizer_config.json", chat_template=named)
    figures = add(base, base, instruct, tmp_path / "sum")
    assert AutoTokenizer.from_pretrained(tmp_path / "sum").chat_template == {
        "default": TEMPLATE,
        "rag": "{{ documents }}",
    }
    assert figures["chat_template"] is True
    generation = json.loads((tmp_path / "sum" / "generation_config.json").read_text(encoding="utf-8"))
    assert generation["eos_token_id"] == 1


def test_a_second_time_over_a_half_written_folder(adapted: Path, base: Path, instruct: Path, tmp_path: Path) -> None:
    figures = add(adapted, base, instruct, tmp_path / "whole")
    (tmp_path / "stopped").mkdir()
    (tmp_path / "stopped" / "model.safetensors").write_bytes(b"half")
    (tmp_path / "stopped" / "chat_template.jinja").write_text("half", encoding="utf-8")
    assert add(adapted, base, instruct, tmp_path / "stopped") == figures
    whole, again = ({path.name: path.read_bytes() for path in (tmp_path / n).iterdir()} for n in ("whole", "stopped"))
    assert whole == again


def added_token(folder: Path, token: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": [token]})
    tokenizer.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(401, mean_resizing=False)
    model.save_pretrained(folder)


def test_a_token_that_no_answer_needs_is_told(adapted: Path, base: Path, instruct: Path, tmp_path: Path) -> None:
    added_token(instruct, "<|extra|>")
    set_json(instruct / "generation_config.json", pad_token_id=400)
    figures = add(adapted, base, instruct, tmp_path / "sum")
    assert figures["special_tokens_lost"] == ["<|extra|>"]
    generation = json.loads((tmp_path / "sum" / "generation_config.json").read_text(encoding="utf-8"))
    assert "pad_token_id" not in generation
    check_against_slow(tmp_path / "sum", adapted, base, instruct, 1.0, atol=1e-6)


def in_template(instruct: Path) -> None:
    added_token(instruct, "<|turn|>")
    (instruct / "chat_template.jinja").write_text("<|turn|>", encoding="utf-8")


def as_end(instruct: Path) -> None:
    added_token(instruct, "<|turn|>")
    set_json(instruct / "generation_config.json", eos_token_id=[1, 400])


def of_another_size(instruct: Path) -> None:
    set_json(instruct / "config.json", rope_parameters={"rope_theta": 5e5, "rope_type": "default"}, mlp_bias=True)


def of_another_kind(instruct: Path) -> None:
    set_json(instruct / "config.json", model_type="mistral", architectures=["MistralForCausalLM"])


def with_a_tensor(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    def spoil(instruct: Path) -> None:
        found = load_file(instruct / "model.safetensors")
        change(found)
        save_file(found, instruct / "model.safetensors", {"format": "pt"})

    return spoil


NORM = "model.layers.1.input_layernorm.weight"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (in_template, r"ends or frames its turns with <\|turn\|>, which the adapted tokenizer has not\.\n  Take an"),
        (as_end, r"ends or frames its turns with <\|turn\|>, which the adapted tokenizer has not"),
        (
            of_another_size,
            r"instruct/config.json: the instruct model is not made from this base: rope_parameters.rope_theta is "
            r"500000.0 and in the base 10000.0, mlp_bias is True and in the base False\.\n  A chat vector needs",
        ),
        (of_another_kind, "not made from this base: model_type is 'mistral' and in the base 'llama'"),
        (with_a_tensor(lambda found: found.pop(NORM)), rf"instruct: the weights have no {NORM}, which the adapted"),
        (
            with_a_tensor(lambda found: found.update({NORM: torch.ones(16)})),
            rf"{NORM} is of shape \[16\], and in the adapted model of \[32\]\.",
        ),
        (
            with_a_tensor(lambda found: found.update({NORM: torch.ones(32).to(torch.int8)})),
            rf"instruct: {NORM} is stored as I8: it is quantized\.\n  Take the model as it was before",
        ),
    ],
)
def test_models_that_do_not_fit(
    spoil: Callable[[Path], None], said: str, base: Path, adapted: Path, instruct: Path, tmp_path: Path
) -> None:
    spoil(instruct)
    with pytest.raises(InputError, match=said):
        add(adapted, base, instruct, tmp_path / "sum")


def test_a_weight_that_is_too_large(tiny_base: Path, tmp_path: Path) -> None:
    instruct = made_instruct(tiny_base, tmp_path / "instruct")
    shutil.copytree(tiny_base, tmp_path / "half")
    moved(tmp_path / "half", 3, dtype=torch.float16)
    with pytest.raises(InputError, match=r"weight: \S+ would have numbers that float16 cannot hold\.\n  Lower the"):
        add(tmp_path / "half", tiny_base, instruct, tmp_path / "sum", weight=1e7)


def test_an_adapted_model_of_something_else(tiny_base: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    save_tokenizer(other, ["Another text."])
    save_llama(other, tied=False, rows=400)
    family.copy(tiny_base, other, ("tokenizer.json",))
    with pytest.raises(InputError, match="the adapted model is not made from this base: tie_word_embeddings is False"):
        add(other, tiny_base, made_instruct(tiny_base, tmp_path / "instruct"), tmp_path / "sum")


def test_masks_of_old_files_are_left_alone(tiny_base: Path, tmp_path: Path) -> None:
    instruct, adapted = made_instruct(tiny_base, tmp_path / "instruct"), tmp_path / "adapted"
    shutil.copytree(tiny_base, adapted)
    old = "model.layers.0.self_attn.rotary_emb.inv_freq"
    with_a_tensor(lambda found: found.update({old: torch.arange(4.0)}))(adapted)
    figures = add(adapted, tiny_base, instruct, tmp_path / "sum")
    assert figures["tensors_kept"] == 1
    assert torch.equal(tensors(tmp_path / "sum")[old], torch.arange(4.0))
