"""Importing this registers the Dassl trainers of all other methods.

Not done by `import multimode_ot`, since a host repository has trainers of these names already and
Dassl refuses a second registration.
"""

from dassl.engine import TRAINER_REGISTRY

from .engine import PromptTrainer
from .factory import METHODS

for _name in sorted(set(METHODS) - {"MultiModeOT", "ALIGN"}):
    _method = METHODS[_name]
    TRAINER_REGISTRY.register(
        type(_name, (PromptTrainer,), {"method": _method, "__doc__": _method.__doc__})
    )
