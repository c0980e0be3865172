"""Few-shot selections on disk: written as JSON, read from the ecosystem's pickles too."""

from __future__ import annotations

import errno
import json
import os
import pickle
import random
from pathlib import Path

import miniature
import pytest
from dassl.data.datasets import Datum
from fewshot_datasets import READERS, DatasetError, files

CACHE = Path("oxford_pets/split_fewshot/shot_2-seed_1.json")
PICKLE = CACHE.with_suffix(".pkl")


def picks(dataset) -> list[str]:
    return [d.impath for d in dataset.train_x + dataset.val]


def pickle_selection(root: Path, seed: int, path: Path, images: Path | None = None) -> list[str]:
    """What the original repositories leave behind: pickled Datum objects with absolute paths."""
    split = READERS["oxford_pets"].load_split(root / "oxford_pets")
    rng = random.Random(seed)
    lists = {}
    for key in ("train", "val"):
        records = getattr(split, key)
        lists[key] = [
            Datum(str(root / "oxford_pets/images" / r.path), label=r.label, classname=r.classname)
            for label in sorted({r.label for r in records})
            for r in rng.sample([r for r in records if r.label == label], 2)
        ]
    chosen = [d.impath for d in lists["train"] + lists["val"]]
    if images:
        for datum in lists["train"] + lists["val"]:
            datum._impath = str(images / Path(datum.impath).name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(lists, pickle.HIGHEST_PROTOCOL))
    return chosen


def test_a_run_that_reads_the_cache_picks_what_the_run_that_wrote_it_sampled(pets, load):
    sampled = load("oxford_pets", pets, shots=2, seed=1)
    cached = load("oxford_pets", pets, shots=2, seed=1)
    assert picks(cached) == picks(sampled)
    untouched = random.Random(1).getstate()
    assert random.getstate() == untouched


def test_the_cache_holds_paths_relative_to_the_images(pets, load):
    dataset = load("oxford_pets", pets, shots=2, seed=1)
    content = json.loads((pets / CACHE).read_text())
    assert set(content) == {"split", "train", "val"}
    assert content["train"] == [Path(d.impath).name for d in dataset.train_x]
    assert not list(pets.rglob("*.pkl"))


def test_a_moved_data_root_keeps_its_selections(pets, load, tmp_path_factory, capsys):
    before = [Path(p).name for p in picks(load("oxford_pets", pets, shots=2, seed=1))]
    moved = tmp_path_factory.mktemp("moved") / "data"
    pets.rename(moved)
    capsys.readouterr()
    assert [Path(p).name for p in picks(load("oxford_pets", moved, shots=2, seed=1))] == before
    assert "selection from" in capsys.readouterr().out


def test_one_selection_serves_all_base_and_new(pets, load):
    whole = picks(load("oxford_pets", pets, shots=2, seed=1))
    halves = [picks(load("oxford_pets", pets, 2, 1, subset)) for subset in ("base", "new")]
    assert sorted(halves[0] + halves[1]) == sorted(whole)
    assert len(list((pets / CACHE).parent.iterdir())) == 1


def test_val_has_at_most_four_shots(tmp_path, load):
    miniature.build("fgvc_aircraft", tmp_path)
    dataset = load("fgvc_aircraft", tmp_path, shots=5, seed=1)
    assert (len(dataset.train_x), len(dataset.val)) == (4 * 5, 4 * 4)


def test_seed_zero_is_a_seed(pets, load):
    first = picks(load("oxford_pets", pets, shots=2, seed=0))
    cache = pets / CACHE.with_name("shot_2-seed_0.json")
    assert cache.is_file()
    cache.unlink()
    assert picks(load("oxford_pets", pets, shots=2, seed=0)) == first


def test_the_picks_follow_the_seed_even_if_the_driver_did_not_set_it(pets, load):
    expected = picks(load("oxford_pets", pets, shots=2, seed=1))
    (pets / CACHE).unlink()
    random.seed(12345)
    from yacs.config import CfgNode

    cfg = CfgNode({"SEED": 1, "DATASET": {"ROOT": str(pets), "NUM_SHOTS": 2}})
    assert picks(READERS["oxford_pets"](cfg)) == expected


def test_an_unseeded_selection_is_frozen_and_says_so(pets, load, capsys):
    random.seed(7)
    first = picks(load("oxford_pets", pets, shots=2, seed=-1))
    assert "kept in" in capsys.readouterr().out
    random.seed(8)
    assert picks(load("oxford_pets", pets, shots=2, seed=-1)) == first


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"val"', '"validation"'),
        lambda text: text.replace("engal", "ungal"),
        lambda text: text.replace('"split": "', '"split": "0'),
        lambda text: json.dumps({**json.loads(text), "train": []}),
        lambda text: json.dumps({**json.loads(text), "train": 7}),
        lambda text: json.dumps({**json.loads(text), "val": [["x"]]}),
    ],
)
def test_a_damaged_cache_is_rebuilt_with_one_message(damage, pets, load, capsys):
    expected = picks(load("oxford_pets", pets, shots=2, seed=1))
    text = (pets / CACHE).read_text()
    (pets / CACHE).write_text(damage(text))
    capsys.readouterr()
    assert picks(load("oxford_pets", pets, shots=2, seed=1)) == expected
    assert capsys.readouterr().out.count("does not fit") == 1
    assert (pets / CACHE).read_text() == text


def test_a_cache_of_another_split_is_rebuilt_from_the_present_one(pets, load, capsys):
    load("oxford_pets", pets, shots=2, seed=1)
    split_file = pets / "oxford_pets/split_zhou_OxfordPets.json"
    content = json.loads(split_file.read_text())
    content["train"].reverse()
    split_file.write_text(json.dumps(content))
    capsys.readouterr()
    dataset = load("oxford_pets", pets, shots=2, seed=1)
    assert "drawn from another split" in capsys.readouterr().out
    (pets / CACHE).unlink()
    assert picks(load("oxford_pets", pets, shots=2, seed=1)) == picks(dataset)


def test_a_data_root_that_cannot_be_written_costs_one_line_each_run(
    pets, load, capsys, monkeypatch
):
    expected = picks(load("oxford_pets", pets, shots=2, seed=1))
    (pets / CACHE).unlink()

    def refuse(obj, path):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(files, "write_json", refuse)
    capsys.readouterr()
    assert picks(load("oxford_pets", pets, shots=2, seed=1)) == expected
    out = capsys.readouterr().out
    assert out.count("Cannot write") == 1 and "Read-only file system" in out
    assert "with the same result" in out


def test_an_earlier_runs_pickle_wins(pets, load):
    load("oxford_pets", pets, shots=2, seed=1)
    chosen = pickle_selection(pets, 77, pets / PICKLE)
    assert picks(load("oxford_pets", pets, shots=2, seed=1)) == chosen


def test_a_pickle_made_under_another_root_is_passed_over(pets, load, capsys):
    expected = picks(load("oxford_pets", pets, shots=2, seed=1))
    pickle_selection(pets, 77, pets / PICKLE, images=Path("/elsewhere/oxford_pets/images"))
    capsys.readouterr()
    assert picks(load("oxford_pets", pets, shots=2, seed=1)) == expected
    assert "made under another root: /elsewhere" in capsys.readouterr().out


def test_a_pickle_with_images_that_are_not_in_train_is_passed_over(pets, load, capsys):
    expected = picks(load("oxford_pets", pets, shots=2, seed=1))
    pickle_selection(pets, 77, pets / PICKLE)
    lists = pickle.loads((pets / PICKLE).read_bytes())
    lists["train"][0], lists["val"][0] = lists["val"][0], lists["train"][0]
    (pets / PICKLE).write_bytes(pickle.dumps(lists))
    assert picks(load("oxford_pets", pets, shots=2, seed=1)) == expected
    assert "in 'train'" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        pickle.dumps([1, 2]),
        pickle.dumps({"train": 3}),
        pickle.dumps({"train": ["a"]}),
        pickle.dumps({"val": []}),
        pickle.dumps({"train": [], "val": []}),
    ],
)
def test_a_pickle_of_another_form_is_passed_over(content, pets, load, capsys):
    expected = picks(load("oxford_pets", pets, shots=2, seed=1))
    (pets / PICKLE).write_bytes(content)
    assert picks(load("oxford_pets", pets, shots=2, seed=1)) == expected
    assert capsys.readouterr().out.count("does not fit") == 1


class _Malicious:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("where", ["few-shot cache", "preprocessed.pkl"])
@pytest.mark.parametrize(
    "make",
    [
        lambda target: {"train": [_Malicious(os.mkdir, target)], "val": []},
        lambda target: _Malicious(eval, f"__import__('os').mkdir({target!r})"),
        lambda target: {"train": [], "val": [_Malicious(getattr, os, "mkdir")]},
    ],
)
def test_a_malicious_pickle_is_refused_and_does_nothing(make, where, tmp_path, load):
    target = tmp_path / "owned"
    if where == "preprocessed.pkl":
        config, path = "imagenet", miniature.build("imagenet", tmp_path) / "preprocessed.pkl"
    else:
        config, path = "oxford_pets", tmp_path / PICKLE
        miniature.publish("oxford_pets", miniature.build("oxford_pets", tmp_path))
        path.parent.mkdir()
    try:
        path.write_bytes(pickle.dumps(make(str(target))))
    except TypeError:  # a module cannot be pickled: ask for it by name instead
        path.write_bytes(b"cos\nmkdir\n(V" + str(target).encode() + b"\ntR.")
    with pytest.raises(DatasetError, match=r"refused to load .* asks for"):
        load(config, tmp_path, shots=2, seed=1)
    assert not target.exists()


def test_a_pickled_datum_cannot_smuggle_other_state(pets, load, capsys):
    pickle_selection(pets, 77, pets / PICKLE)
    lists = pickle.loads((pets / PICKLE).read_bytes())
    del lists["train"][0]._impath
    (pets / PICKLE).write_bytes(pickle.dumps(lists))
    load("oxford_pets", pets, shots=2, seed=1)
    assert "does not fit" in capsys.readouterr().out


def test_imagenets_preprocessed_order_is_kept(tmp_path, load, capsys):
    directory = miniature.build("imagenet", tmp_path)
    split = READERS["imagenet"].load_split(directory)
    images = directory / "images"
    lists = {
        key: [Datum(str(images / r.path), label=r.label, classname=r.classname) for r in records]
        for key, records in (("train", split.train[::-1]), ("test", split.test[::-1]))
    }
    (directory / "preprocessed.pkl").write_bytes(pickle.dumps(lists, pickle.HIGHEST_PROTOCOL))
    dataset = load("imagenet", tmp_path)
    assert [d.impath for d in dataset.train_x] == [d.impath for d in lists["train"]]
    assert "does not fit" not in capsys.readouterr().out


def test_imagenets_few_shot_pickle_has_no_val(tmp_path, load):
    directory = miniature.build("imagenet", tmp_path)
    split = READERS["imagenet"].load_split(directory)
    chosen = [r for label in range(3) for r in [r for r in split.train if r.label == label][4:6]]
    data = [
        Datum(str(directory / "images" / r.path), label=r.label, classname=r.classname)
        for r in chosen
    ]
    path = directory / "split_fewshot/shot_2-seed_1.pkl"
    path.parent.mkdir()
    path.write_bytes(pickle.dumps({"train": data}, pickle.HIGHEST_PROTOCOL))
    dataset = load("imagenet", tmp_path, shots=2, seed=1)
    assert [d.impath for d in dataset.train_x] == [d.impath for d in data]


def test_a_preprocessed_pickle_of_another_root_is_passed_over(tmp_path, load, capsys):
    directory = miniature.build("imagenet", tmp_path)
    image = directory / "images/train/n01000001/n01000001_0.JPEG"
    datum = Datum(str(image), label=0, classname="tench")
    datum._impath = "/elsewhere/imagenet/images/train/n01000001/n01000001_0.JPEG"
    (directory / "preprocessed.pkl").write_bytes(pickle.dumps({"train": [datum], "test": [datum]}))
    assert len(load("imagenet", tmp_path).train_x) == 18
    assert "made under another root" in capsys.readouterr().out
