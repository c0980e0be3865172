"""A prompt learner in the form of the ecosystem: frozen encoders, one registered module."""

import os.path as osp
import random

import numpy as np
import torch
import torch.nn as nn
from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.metrics import compute_accuracy
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import load_checkpoint, load_pretrained_weights
from torch.amp import GradScaler, autocast
from torch.nn import functional as F

WIDTH = 16


class PromptLearner(nn.Module):
    def __init__(self, cfg, classnames):
        super().__init__()
        self.ctx = nn.Parameter(torch.empty(cfg.TRAINER.COOP.N_CTX, WIDTH).normal_(std=0.02))
        words = torch.Generator().manual_seed(len(classnames))
        n_cls = len(classnames)
        self.register_buffer("token_prefix", torch.randn(n_cls, 1, WIDTH, generator=words))
        self.register_buffer("token_suffix", torch.randn(n_cls, 2, WIDTH, generator=words))
        self.dropout = nn.Dropout(0.2)

    def forward(self):
        ctx = self.dropout(self.ctx).unsqueeze(0).expand(len(self.token_prefix), -1, -1)
        return torch.cat([self.token_prefix, ctx, self.token_suffix], dim=1)


class CustomCLIP(nn.Module):
    def __init__(self, cfg, classnames):
        super().__init__()
        frozen = torch.Generator().manual_seed(0)
        self.prompt_learner = PromptLearner(cfg, classnames)
        pixels = 3 * cfg.INPUT.SIZE[0] * cfg.INPUT.SIZE[1]
        self.image_encoder = nn.Linear(pixels, WIDTH)
        self.image_encoder.weight.data = torch.randn(WIDTH, pixels, generator=frozen)
        self.text_encoder = nn.GRU(WIDTH, WIDTH, batch_first=True)
        for parameter in self.text_encoder.parameters():
            parameter.data = torch.randn(parameter.shape, generator=frozen) / 4

    def forward(self, image):
        image_features = F.normalize(self.image_encoder(image.flatten(1)), dim=-1)
        text_features = F.normalize(self.text_encoder(self.prompt_learner())[0][:, -1], dim=-1)
        return 10 * image_features @ text_features.t()


@TRAINER_REGISTRY.register()
class ToyCoOp(TrainerX):
    def check_cfg(self, cfg):
        assert cfg.TRAINER.COOP.PREC in ["fp32", "amp"]

    def build_model(self):
        cfg = self.cfg
        classnames = self.dm.dataset.classnames
        self.model = CustomCLIP(cfg, classnames)
        for name, param in self.model.named_parameters():
            if "prompt_learner" not in name:
                param.requires_grad_(False)
        if cfg.MODEL.INIT_WEIGHTS:
            load_pretrained_weights(self.model.prompt_learner, cfg.MODEL.INIT_WEIGHTS)
        self.model.to(self.device)
        self.optim = build_optimizer(self.model.prompt_learner, cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        self.register_model("prompt_learner", self.model.prompt_learner, self.optim, self.sched)
        amp = cfg.TRAINER.COOP.PREC == "amp"
        # A short growth interval, so that a few steps already change the scale.
        self.scaler = GradScaler(self.device.type, growth_interval=3) if amp else None

    def forward_backward(self, batch):
        image, label = self.parse_batch_train(batch)
        if self.scaler is not None:
            with autocast(self.device.type):
                output = self.model(image)
                loss = F.cross_entropy(output, label)
            self.optim.zero_grad()
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optim)
            self.scaler.update()
        else:
            output = self.model(image)
            loss = F.cross_entropy(output, label)
            self.model_backward_and_update(loss)
        loss_summary = {"loss": loss.item(), "acc": compute_accuracy(output, label)[0].item()}
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return loss_summary

    def parse_batch_train(self, batch):
        input = batch["img"].to(self.device)
        label = batch["label"].to(self.device)
        # An augmentation of its own, from the generators that such code uses.
        input = input * random.uniform(0.9, 1.1) + np.random.normal(scale=0.05)  # noqa: NPY002
        return input, label

    def load_model(self, directory, epoch=None):
        if not directory:
            print("Note that load_model() is skipped as no pretrained model is given")
            return
        model_file = "model-best.pth.tar" if epoch is None else "model.pth.tar-" + str(epoch)
        for name in self.get_model_names():
            model_path = osp.join(directory, name, model_file)
            if not osp.exists(model_path):
                raise FileNotFoundError(f'Model not found at "{model_path}"')
            checkpoint = load_checkpoint(model_path)
            state_dict = checkpoint["state_dict"]
            for key in ("token_prefix", "token_suffix"):
                if key in state_dict:
                    del state_dict[key]
            print(f'Loading weights to {name} from "{model_path}" (epoch = {checkpoint["epoch"]})')
            self._models[name].load_state_dict(state_dict, strict=False)
