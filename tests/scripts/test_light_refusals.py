"""What a wrong call of a script is told comes before anything heavier than yacs is imported."""

import os

import pytest
from imported import CHECKOUT, HEAVY, imported

REFUSED = {
    "": "script ''",
    "base2new_train ALING 1": "METHOD 'ALING'",
    "base2new_train ALIGN one": "SEED 'one'",
    "base2new_train ALIGN 1 digitz": "digitz",
    "base2new_train ALIGN 1 oxford_pets": "python -m fewshot_datasets.get oxford_pets --root",
    "base2new_train ALIGN 1 digits OPTIM.LRR 1": "OPTIM.LRR",
    "base2new_train ALIGN 1 digits OPTIM.MAX_EPOCH many": "wants int",
    "base2new_train ALIGN 1 digits MODEL.BACKBONE.NAME ViT-B16": "ViT-B/16",
    "base2new_train ALIGN 1 --method-file nowhere.py": "--method-file nowhere.py",
    "base2new_test ALING 1": "METHOD 'ALING'",
    "fewshot ALIGN 1 digitz": "digitz",
    "fewshot ALIGN 1 oxford_pets 3": "no published config of ALIGN for 3 shots",
    "xd_train CoOp 1": "imagenet",
    "xd_test CoOp 1 dtd": "dtd",
    "dg_test CoOp 1": "imagenetv2",
    "compare digitz": "digitz",
    "compare digits MODEL.BACKBONE.NAMES RN50": "MODEL.BACKBONE.NAMES",
    "compare dtd": "python -m fewshot_datasets.get dtd --root",
    "SEEDS=one compare": "SEEDS",
    "ablate digitz": "digitz",
    "ablate dtd": "missing directory",
    "ablate digits dtd": "one DATASET",
    "ablate digits OPTIM.LRR 1": "OPTIM.LRR",
    "ablate TRAINER.MULTIMODEOT.HEAD paper": "TRAINER.MULTIMODEOT.HEAD is what the ablation varies",
    "ablate OPTIM.MAX_EPOCH 1 TRAINER.MULTIMODEOT.BETA 2": "BETAS chooses its betas",
    "BETAS=half ablate": "BETAS=half: 'half' is no number from 0",
    "BETAS=-1 ablate": "BETAS=-1",
    "BETAS=inf ablate": "BETAS=inf",
    "SEEDS=one ablate": "SEEDS",
    "PROTOCOL=domain ablate": "PROTOCOL 'domain'",
    "CONFIG=vit ablate": "no config file",
    "OUTPUT=file.txt ablate": "file.txt",
    "METHODS=ALING compare": "METHODS 'ALING'",
    "CONFIG=vit base2new_train CoOp 1": "no config file",
    "CONFIG=vit METHODS=CoOp compare": "no config file",
    "OUTPUT=file.txt base2new_train CoOp 1": "file.txt",
    "DATA=file.txt base2new_train CoOp 1": "file.txt",
}


@pytest.mark.parametrize("call", REFUSED)
def test_a_wrong_call_is_refused_before_anything_heavy_is_imported(call, tmp_path):
    (tmp_path / "file.txt").write_text("", encoding="utf-8")
    words = call.split()
    given = dict(word.split("=", 1) for word in words if "=" in word)
    words = [word for word in words if "=" not in word]
    places = {"DATA": "data", "OUTPUT": "out"}
    program = CHECKOUT / "scripts/protocol.py"
    environment = os.environ | places | given
    modules, said = imported(program, *words, fails=True, cwd=tmp_path, env=environment)
    assert said.startswith("error: ") and REFUSED[call] in said and "\n" not in said
    assert not modules & HEAVY
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]
