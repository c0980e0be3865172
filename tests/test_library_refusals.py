"""Bad arguments of library calls are `ValueError` or `OSError` and name the thing."""

import bad_world
import multimode_ot
import pytest
import torch
from multimode_ot import extend_cfg
from multimode_ot.commands.compare import table
from multimode_ot.config import merge_file, merge_options
from multimode_ot.errors import is_expected
from multimode_ot.methods.build import default_settings
from multimode_ot.results.results_json import read_results
from multimode_ot.results.run_folder import RunFolder
from multimode_ot.training.checkpoints import find_checkpoint, read_checkpoint
from multimode_ot.transport import (
    ConditionalTransport,
    ExactTransport,
    Features,
    HierarchicalTransport,
    Sinkhorn,
    hierarchical_logits,
)
from yacs.config import CfgNode

COST, HALF = torch.rand(2, 3, 4), torch.full((2, 3), 0.5)
POOLED = torch.nn.functional.normalize(torch.rand(2, 3, 8), dim=-1)


def build(method="CoOp", clip="demo-vit", names=("cat", "dog"), **settings):
    chosen = default_settings("CoOp" if method not in ("ALIGN", "VPT") else method)
    chosen.update({"PREC": "fp32", "PROMPT_DEPTH": 2} | settings)
    return multimode_ot.build_model(method, clip, names, chosen)


def config():
    cfg = CfgNode({"TRAINER": CfgNode(), "DATASET": CfgNode()})
    extend_cfg(cfg)
    return cfg


BAD = [
    # Models
    (lambda _: build("ALING"), "method 'ALING'", "ALIGN"),
    (lambda _: build(clip="ViT-B16"), "'ViT-B16'", "ViT-B/16"),
    (lambda _: build(clip={}), "not a CLIP state dict"),
    (lambda _: build(clip=torch.nn.Linear(1, 1)), "Linear is not a CLIP state dict"),
    (lambda _: build(N_CTX=99), "more tokens"),
    (lambda _: build("ALIGN", PROMPT_DEPTH=99), "PROMPT_DEPTH 99"),
    # Files
    (lambda w: multimode_ot.load_clip(w / "nowhere.pt"), "nowhere.pt"),
    (lambda w: multimode_ot.load_clip(w / "file.txt"), "file.txt is not a CLIP"),
    (lambda w: multimode_ot.load_clip(w / "shapes.pt"), "text_projection", "(3,)"),
    (lambda w: multimode_ot.load_clip(w / "code.pt"), "code.pt"),
    (lambda _: multimode_ot.load_clip(3), "'3'"),
    (lambda w: read_checkpoint(w / "nowhere.pt"), "no checkpoint", "nowhere.pt"),
    (lambda w: read_checkpoint(w), "no checkpoint"),
    (lambda w: read_checkpoint(w / "file.txt"), "file.txt"),
    (lambda w: read_checkpoint(w / "code.pt"), "code.pt", "system"),
    (lambda w: read_checkpoint(w / "words.pt"), "words.pt", "'ctx'"),
    (lambda w: read_checkpoint(w / "number.pt"), "number.pt", "int"),
    (lambda w: find_checkpoint(w, "prompt_learner"), "model-best.pth.tar"),
    (lambda w: read_results(w / "nowhere.json"), "nowhere.json"),
    (lambda w: read_results(w / "file.txt"), "file.txt is not a results file"),
    (lambda w: read_results(w / "list.json"), "list.json is not a results file"),
    (lambda w: read_results(w / "latin.json"), "latin.json is not a results file"),
    (lambda w: RunFolder(w / "bad_record").read(), "run.json is not a run's record"),
    (lambda w: table([str(w / "nowhere")]), "nowhere"),
    (lambda w: merge_file(config(), w / "nowhere.yaml"), "nowhere.yaml"),
    (lambda w: merge_file(config(), w / "damaged.yaml"), "damaged.yaml is not a YAML config"),
    (lambda _: merge_options(config(), ["TRAINER.COOP.NCTX", 2]), "TRAINER.COOP.N_CTX"),
    (lambda _: merge_options(config(), ["TRAINER.COOP.N_CTX"]), "no value"),
    (lambda _: merge_options(config(), ["TRAINER.COOP.N_CTX", "two"]), "'two'", "int"),
    # Transport
    (lambda _: Sinkhorn(epsilon=0.0), "epsilon 0.0"),
    (lambda _: Sinkhorn(max_iterations=0), "max_iterations 0"),
    (lambda _: Sinkhorn(tolerance=-1.0), "tolerance -1.0"),
    (lambda _: Sinkhorn()(COST[0, 0]), "cost of shape (4,)"),
    (lambda _: Sinkhorn()(COST * torch.nan), "cost has nan"),
    (lambda _: Sinkhorn()([[1.0]]), "cost", "list"),
    (lambda _: Sinkhorn()(COST, HALF[:, :2]), "marginal a", "(2, 2)"),
    (lambda _: Sinkhorn()(COST, HALF), "a sums to 1.5"),
    (lambda _: Sinkhorn()(COST, -HALF), "a has -0.5"),
    (lambda _: ConditionalTransport(torch.tensor(0.0))(COST, None, None), "phi"),
    (lambda _: ExactTransport()(COST * torch.inf, None, None), "cost has inf"),
    (lambda _: HierarchicalTransport(beta=float("nan")), "beta nan"),
    (lambda _: hierarchical_logits(Features(POOLED * 2, None), Features(POOLED, None), 1), "image"),
    (lambda _: hierarchical_logits(Features(POOLED[0], None), Features(POOLED, None), 1), "image"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    world = tmp_path_factory.mktemp("files")
    bad_world.make_files(world)
    return world


@pytest.mark.parametrize("row", BAD, ids=lambda row: row[1])
def test_a_bad_argument_is_an_error_that_names_it(row, files):
    call, *words = row
    with pytest.raises((ValueError, OSError)) as error:
        call(files)
    assert is_expected(error.value)
    for word in words:
        assert word in str(error.value)
