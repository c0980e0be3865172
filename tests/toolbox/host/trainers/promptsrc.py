"""A trainer with state of its own: two modules, an own loader, counters, averaged weights."""

import copy

import torch
from dassl.data import DataManager
from dassl.data.data_manager import DatasetWrapper
from dassl.engine import TRAINER_REGISTRY
from dassl.optim import build_lr_scheduler, build_optimizer
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms as T

from .coop import ToyCoOp


@TRAINER_REGISTRY.register()
class ToyPromptSRC(ToyCoOp):
    def build_data_loader(self):
        cfg = self.cfg
        size = cfg.INPUT.SIZE
        tfm = T.Compose([T.RandomResizedCrop(size, scale=(0.5, 1.0)), T.ToTensor()])
        dm = DataManager(cfg, custom_tfm_train=tfm)
        self.train_loader_x = DataLoader(
            DatasetWrapper(cfg, dm.dataset.train_x, transform=tfm, is_train=True),
            batch_size=cfg.DATALOADER.TRAIN_X.BATCH_SIZE,
            shuffle=True,
            generator=torch.Generator().manual_seed(7),
        )
        self.train_loader_u = None
        self.val_loader = dm.val_loader
        self.test_loader = dm.test_loader
        self.num_classes = dm.num_classes
        self.num_source_domains = dm.num_source_domains
        self.lab2cname = dm.lab2cname
        self.dm = dm

    def build_model(self):
        super().build_model()
        self.bias = torch.nn.Linear(1, self.num_classes).to(self.device)
        self.bias_optim = build_optimizer(self.bias, self.cfg.OPTIM)
        self.bias_sched = build_lr_scheduler(self.bias_optim, self.cfg.OPTIM)
        self.register_model("bias", self.bias, self.bias_optim, self.bias_sched)
        self.step_counter = 1
        self.previous_average = None
        self.consistency = []

    def model_inference(self, image):
        return self.model(image) + self.bias(torch.ones(1, 1, device=self.device))

    def forward_backward(self, batch):
        image, label = self.parse_batch_train(batch)
        loss = F.cross_entropy(self.model_inference(image), label)
        if self.previous_average is not None:
            loss = (
                loss + 0.1 * (self.model.prompt_learner.ctx - self.previous_average["ctx"]).norm()
            )
        self.model_backward_and_update(loss)
        if self.batch_idx == 1:
            self.save_model(self.epoch, self.output_dir, model_name="model-midway.pth.tar")
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
            self.average()
        return {"loss": loss.item()}

    def average(self):
        now = copy.deepcopy(self.model.prompt_learner.state_dict())
        if self.previous_average is not None:
            for key in now:
                now[key] = 0.5 * now[key] + 0.5 * self.previous_average[key]
        self.previous_average = now
        self.step_counter += 1
        self.consistency.append(self.step_counter)
        if self.step_counter == self.max_epoch + 1:
            self.model.prompt_learner.load_state_dict(self.previous_average)

    def after_epoch(self):
        super().after_epoch()
        # Draws after the checkpoint is written, and so is lost on resume unless it is taken along.
        self.test(split="val")
        with torch.no_grad():
            self.model.prompt_learner.ctx.add_(
                0.001 * torch.randn_like(self.model.prompt_learner.ctx)
            )
