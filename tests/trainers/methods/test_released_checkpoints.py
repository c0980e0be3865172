"""Checkpoints of the original repositories load: whole models, pickled optimizers and all."""

import os

import original_keys as keys
import pytest
import torch
from multimode_ot import build_model
from multimode_ot.training.checkpoints import find_checkpoint, read_checkpoint
from parity import NAMES, random_images, settings
from random_clip import random_clip
from slow_coprompt import adapter_shapes
from slow_plotpp import prompt_shapes

TINY = "tiny-vit"
W_T, W_V, _ = keys.widths(TINY)
OTHER_CLASSES = 7  # buffers of the classes that the file was trained on


def buffers(prefix: str, rows: int, n: int):
    return {f"{prefix}token_prefix": (rows, 1, W_T), f"{prefix}token_suffix": (rows, 76 - n, W_T)}


def clip_weights():
    return {
        "image_encoder.class_embedding": (W_V,),
        "image_encoder.transformer.resblocks.1.ln_1.weight": (W_V,),
        "text_encoder.transformer.resblocks.1.ln_1.weight": (W_T,),
        "text_encoder.text_projection": (W_T, 48),
        "logit_scale": (),
    }


VISUAL_TEACHER = {
    "prompt_learner.ZS_image_encoder.conv1.weight": (W_V, 3, 8, 8),
    "prompt_learner.ZS_image_encoder.transformer.resblocks.1.ln_1.weight": (W_V,),
}
# What is trained, what else the file has, the directory, and the settings.
RELEASED = {
    "CoOp": (
        keys.context(TINY, 16),
        buffers("", OTHER_CLASSES, 16),
        "prompt_learner",
        {},
    ),
    "CoCoOp": (
        keys.context(TINY, 4) | keys.meta_net(TINY),
        buffers("", OTHER_CLASSES, 4),
        "prompt_learner",
        {"CTX_INIT": "a photo of a"},
    ),
    "PLOT": (
        keys.context(TINY, 4, 16),
        buffers("", 4 * OTHER_CLASSES, 16),
        "prompt_learner",
        {},
    ),
    "MaPLe": (
        keys.coupled(TINY, 3, 2),
        buffers("prompt_learner.", OTHER_CLASSES, 2) | clip_weights(),
        "MultiModalPromptLearner",
        {"PROMPT_DEPTH": 3},
    ),
    "ALIGN": (
        keys.coupled(TINY, 3, 4, 2),
        buffers("prompt_learner.", 4 * OTHER_CLASSES, 2) | clip_weights(),
        "MultiModalPromptLearner",
        {"PROMPT_DEPTH": 3, "HEAD": "released"},
    ),
    "IVLP": (
        keys.in_text_blocks(TINY, 4, 2) | keys.in_image_blocks(TINY, 3, 2),
        buffers("prompt_learner.", OTHER_CLASSES, 2) | clip_weights(),
        "VLPromptLearner",
        {"PROMPT_DEPTH_TEXT": 4, "PROMPT_DEPTH_VISION": 3},
    ),
    "KgCoOp": (
        keys.context(TINY, 4),
        buffers("", OTHER_CLASSES, 4)
        | {
            "bias_vectors": (1, W_T),
            "meta_net.linear1.weight": (W_T, W_T),
            "meta_net.linear1.bias": (W_T,),
        },
        "prompt_learner",
        {"CTX_INIT": "a photo of a"},
    ),
    "ProGrad": (
        keys.context(TINY, 16),
        buffers("", OTHER_CLASSES, 16),
        "prompt_learner",
        {"CTX_INIT": True},
    ),
    "PromptSRC": (
        keys.in_text_blocks(TINY, 4, 4) | keys.in_image_blocks(TINY, 3, 4),
        buffers("prompt_learner.", OTHER_CLASSES, 4) | clip_weights() | VISUAL_TEACHER,
        "VLPromptLearner",
        {"PROMPT_DEPTH_TEXT": 4, "PROMPT_DEPTH_VISION": 3},
    ),
    "PLOTPP": (
        prompt_shapes(4, 4, 4, 2),
        buffers("prompt_learner.", 4 * OTHER_CLASSES, 4) | clip_weights(),
        "prompt_learner",
        {},
    ),
    "CoPrompt": (
        keys.coupled(TINY, 3, 2) | adapter_shapes(),
        buffers("prompt_learner.", OTHER_CLASSES, 2)
        | clip_weights()
        | {"model_distill.visual.class_embedding": (W_V,), "model_distill.logit_scale": ()},
        "MultiModalPromptLearner",
        {"PROMPT_DEPTH": 3},
    ),
    "VPT": (
        keys.in_image_blocks(TINY, 3, 8),
        clip_weights(),
        "prompt_learner",
        {"N_CTX_VISION": 8, "PROMPT_DEPTH_VISION": 3},
    ),
    "MMA": (
        keys.adapters(TINY, range(1, 4), 32),
        {"token_embedding": (OTHER_CLASSES, 77, W_T), "tokenized_prompts": (OTHER_CLASSES, 77)},
        "adapter_learner",
        {"ADAPTER_START": 1, "ADAPTER_END": 3},
    ),
    "TCP": (
        keys.tcp(TINY),
        buffers("", OTHER_CLASSES, 4),
        "prompt_learner",
        {},
    ),
}
released = pytest.mark.parametrize("method", RELEASED)


def write_released(path, state) -> None:
    """As the original Dassl does: the inner scheduler is pickled, and the optimizer in it."""
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.SGD([parameter], lr=0.002, momentum=0.9)
    parameter.sum().backward()
    optimizer.step()
    inner = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5.0)
    torch.save(
        {
            "state_dict": state,
            "epoch": 5,
            "optimizer": optimizer.state_dict(),
            "scheduler": {"successor": inner, "cons_lr": 1e-5, "last_epoch": 5},
            "val_result": None,
        },
        path,
    )


@released
def test_a_released_file_gives_its_prompts_and_nothing_else(method, tmp_path):
    trained, others, directory, changes = RELEASED[method]
    state = keys.random_prompts(trained | others)
    (tmp_path / directory).mkdir()
    write_released(tmp_path / directory / "model.pth.tar-5", state)

    model = build_model(method, random_clip(TINY), NAMES, settings(method, **changes))
    frozen = {k: v.clone() for k, v in model.clip.state_dict().items()}
    path = find_checkpoint(tmp_path, model.checkpoint_name, 5)
    checkpoint = read_checkpoint(path)
    report = model.load_prompts(checkpoint["state_dict"])
    assert checkpoint["epoch"] == 5
    assert set(report.used) == set(trained) and set(report.ignored) == set(others)
    assert not report.missed and not report.unexpected
    for key, own in model.prompt_keys(trained).items():
        assert torch.equal(model.prompt_learner.state_dict()[own], state[key])
    assert all(torch.equal(v, frozen[k]) for k, v in model.clip.state_dict().items())
    assert model(random_images(TINY)).shape == (2, len(NAMES))


@released
def test_what_is_saved_here_has_the_keys_of_the_original(method):
    trained, _, _, changes = RELEASED[method]
    model = build_model(method, random_clip(TINY), NAMES, settings(method, **changes))
    saved = {model.checkpoint_prefix + k for k in model.prompt_learner.state_dict()}
    assert saved == set(trained)
    assert not model.load_prompts(keys.random_prompts(trained)).missed
    assert not model.load_prompts(model.prompt_learner.state_dict()).missed


def test_promptsrcs_and_ivlps_files_are_told_apart_and_each_loads_as_the_other():
    trained, others, _, changes = RELEASED["PromptSRC"]
    tokens = {"N_CTX_TEXT": 4, "N_CTX_VISION": 4}
    built = {
        method: build_model(method, random_clip(TINY), NAMES, settings(method, **changes, **tokens))
        for method in ("PromptSRC", "IVLP")
    }
    teacherless = {k: shape for k, shape in others.items() if k not in VISUAL_TEACHER}
    files = {"PromptSRC": trained | others, "IVLP": trained | teacherless, "ours": trained}
    said = {}
    for method, model in built.items():
        for source, shapes in files.items():
            report = model.load_prompts(keys.random_prompts(shapes))
            assert set(report.used) == set(trained) and not report.unexpected
            said[method, source] = model.remark_on(report)
    images = random_images(TINY)
    built["IVLP"].load_prompts(keys.random_prompts(files["PromptSRC"]))
    built["PromptSRC"].load_prompts(keys.random_prompts(files["PromptSRC"]))
    assert torch.equal(built["IVLP"](images), built["PromptSRC"](images))
    for method in built:
        assert "prompts alone are taken" in said[method, "PromptSRC"]
        assert "half precision" in said[method, "PromptSRC"] and not said[method, "ours"]
    assert not said["IVLP", "IVLP"] and "it is IVLP's" in said["PromptSRC", "IVLP"]


def test_a_layer_of_another_methods_network_is_not_kgcoops():
    """TCP's file has a second one, CoCoOp's too."""
    shapes = keys.context(TINY, 4) | keys.meta_net(TINY)
    model = build_model(
        "KgCoOp", random_clip(TINY), NAMES, settings("KgCoOp", CTX_INIT="a photo of a")
    )
    report = model.load_prompts(keys.random_prompts(shapes))
    assert report.unexpected == ("meta_net.linear2.weight", "meta_net.linear2.bias")


def test_deeper_prompts_than_the_settings_have_are_named():
    deep = keys.in_text_blocks(TINY, 4, 2) | keys.in_image_blocks(TINY, 3, 2)
    shallow = settings("IVLP", PROMPT_DEPTH_TEXT=2, PROMPT_DEPTH_VISION=2)
    model = build_model("IVLP", random_clip(TINY), NAMES, shallow)
    report = model.load_prompts(keys.random_prompts(deep | {"extra.weight": (2,)}))
    blocks = "transformer.resblocks.{}.VPT_shallow"
    assert set(report.unexpected) == {
        "text_encoder." + blocks.format(2),
        "text_encoder." + blocks.format(3),
        "image_encoder." + blocks.format(2),
        "extra.weight",
    }


class Malicious:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_file_is_refused_by_name_and_does_not_run(tmp_path, zipped):
    path, trace = tmp_path / "model.pth.tar-5", tmp_path / "trace"
    content = {"state_dict": {}, "scheduler": Malicious(f"touch {trace}")}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=rf"{path}.*(posix|nt)\.system"):
        read_checkpoint(path)
    assert not trace.exists()


class Unknown:
    pass


def test_an_object_of_an_unknown_class_is_refused_by_name(tmp_path):
    path = tmp_path / "model.pth.tar-5"
    torch.save({"state_dict": {}, "scheduler": Unknown()}, path)
    with pytest.raises(ValueError, match=rf"{path}.*Unknown"):
        read_checkpoint(path)


def test_reading_leaves_no_class_admitted_for_other_readers(tmp_path):
    write_released(tmp_path / "file", {})
    admitted = set(torch.serialization.get_safe_globals())  # listed in the order of the hash seed
    read_checkpoint(tmp_path / "file")
    assert set(torch.serialization.get_safe_globals()) == admitted


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 torn"])
def test_a_torn_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "model.pth.tar-5"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path}"):
        read_checkpoint(path)


def test_a_missing_checkpoint_lists_what_is_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        find_checkpoint(tmp_path / "none", "prompt_learner", 5)
    (tmp_path / "VLPromptLearner").mkdir()
    with pytest.raises(FileNotFoundError, match="VLPromptLearner"):
        find_checkpoint(tmp_path, "prompt_learner", 5)
    (tmp_path / "VLPromptLearner" / "model.pth.tar-50").touch()
    with pytest.raises(FileNotFoundError, match=r"model\.pth\.tar-50"):
        find_checkpoint(tmp_path, "VLPromptLearner", 5)
    with pytest.raises(FileNotFoundError, match="--load-epoch"):
        find_checkpoint(tmp_path, "VLPromptLearner")
