"""What every method declares of itself, and what follows from it."""

import tempfile
from pathlib import Path

from cases_of_methods import own_settings
from multimode_ot import Setting, extend_cfg, method_names
from multimode_ot.config import Check, flatten, merge_file
from multimode_ot.methods import find_method
from multimode_ot.methods.base import PromptedCLIP, settings_path
from multimode_ot.methods.build import default_settings
from yacs.config import CfgNode


def declared(settings, prefix=""):
    """All settings by their keys, those of regularisers as `PART.KEY`."""
    for key, setting in settings.items():
        if isinstance(setting, Setting):
            yield prefix + key, setting
        else:
            yield from declared(setting, f"{prefix}{key}.")


def test_its_name_is_one(method):
    found = find_method(method)
    assert found.name == method and method.isidentifier()
    assert [name.upper() for name in method_names()].count(method.upper()) == 1


def test_it_says_what_it_is_and_what_it_trains_in_a_line(method):
    found = find_method(method)
    for line in (found.trains, found.configs):
        assert line == line.strip() and "\n" not in line
    assert "__doc__" in vars(found) and len(found.__doc__.split()) > 3
    assert set(found.learned) <= {"text", "image"} and (found.trains or not found.learned)


def test_every_setting_has_a_line_of_help_and_a_plain_default(method):
    for key, setting in declared(find_method(method).all_settings()):
        assert key == key.upper()
        assert setting.help and setting.help == " ".join(setting.help.split()), key
        assert type(setting.default) in (bool, int, float, str, tuple), key


def test_its_defaults_pass_its_own_checks(method):
    find_method(method).check_settings(Check(default_settings(method), settings_path(method)))


def bare_config():
    return CfgNode({"TRAINER": {}, "DATASET": {}})


def test_a_config_gets_exactly_its_settings(method):
    cfg = bare_config()
    extend_cfg(cfg)
    wanted = {k: s.default for k, s in declared(find_method(method).all_settings())}
    assert flatten(cfg.TRAINER[method.upper()]) == wanted


def test_values_that_a_host_has_set_stay(method):
    own = own_settings(method) or PromptedCLIP.all_settings()
    key = next(iter(own))
    cfg = bare_config()
    cfg.TRAINER[method.upper()] = CfgNode({key: "the host's"})
    extend_cfg(cfg)
    assert cfg.TRAINER[method.upper()][key] == "the host's"
    assert set(cfg.TRAINER[method.upper()]) == set(default_settings(method))


def test_other_values_go_into_a_yaml_file_and_out_of_it(method):
    cfg = whole_config(method)
    for key, setting in declared(find_method(method).all_settings()):
        cfg.merge_from_list([f"TRAINER.{method.upper()}.{key}", another(setting.default)])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "settings.yaml"
        file.write_text(cfg.dump(), encoding="utf-8")
        for merge in (merge_file, CfgNode.merge_from_file):
            fresh = whole_config(method)
            assert flatten(fresh) != flatten(cfg)
            merge(fresh, str(file))
            assert flatten(fresh) == flatten(cfg)


def whole_config(method):
    return CfgNode({"TRAINER": {method.upper(): default_settings(method)}})


def another(value):
    """A value of the same type."""
    if isinstance(value, bool):
        return not value
    return {int: 7, float: 0.25, str: "two words", tuple: ("one", "two")}[type(value)]
