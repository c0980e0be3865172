"""Where a method's settings are, and whether they fit its backbone."""

from __future__ import annotations

from typing import ClassVar

from yacs.config import CfgNode

from ..backbone.clip import CLIP
from ..config import Check


class FitsBackbone:
    """Mixed into a model that has a `clip`, a `name` and settings."""

    name: ClassVar[str]
    clip: CLIP
    cfg: CfgNode

    def check_depth(self, key: str, text: bool, vision: bool) -> None:
        """Refuse a depth for which the backbone has too few layers, and visual prompts on a ResNet.

        Args:
            key: the setting that holds the depth.
            text, vision: which towers it rules.
        """
        check, clip = Check(self.cfg, settings_path(self.name)), self.clip
        if vision:
            self.check_vit(key)
        if text:
            check.at_most(key, clip.text_layers, f"{clip.name} has so many text layers")
        if vision:
            check.at_most(key, clip.vision_layers, f"{clip.name} has so many visual layers")

    def check_vit(self, key: str) -> None:
        """Refuse a setting that asks for visual prompts on a ResNet."""
        if not self.clip.is_vit:
            check = Check(self.cfg, settings_path(self.name))
            check.refuse(key, f"{self.clip.name} is a ResNet, which takes no visual prompts")


def settings_path(name: str) -> str:
    """Where a method's settings are in a whole config."""
    return f"TRAINER.{name.upper()}"
