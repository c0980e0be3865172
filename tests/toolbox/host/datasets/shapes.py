"""A data set reader in the form of the ecosystem: split file, few-shot cache, base and new."""

import os
import pickle

from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from dassl.utils import listdir_nohidden, mkdir_if_missing, read_json, write_json


@DATASET_REGISTRY.register()
class Shapes(DatasetBase):
    dataset_dir = "shapes"

    def __init__(self, cfg):
        root = os.path.abspath(os.path.expanduser(cfg.DATASET.ROOT))
        self.dataset_dir = os.path.join(root, self.dataset_dir)
        self.image_dir = os.path.join(self.dataset_dir, "images")
        self.split_path = os.path.join(self.dataset_dir, "split_Shapes.json")
        self.split_fewshot_dir = os.path.join(self.dataset_dir, "split_fewshot")
        mkdir_if_missing(self.split_fewshot_dir)

        if os.path.exists(self.split_path):
            train, val, test = self.read_split(self.split_path, self.image_dir)
        else:
            train, val, test = self.read_folders()
            self.save_split(train, val, test, self.split_path, self.image_dir)

        num_shots = cfg.DATASET.NUM_SHOTS
        if num_shots >= 1:
            seed = cfg.SEED
            cache = os.path.join(self.split_fewshot_dir, f"shot_{num_shots}-seed_{seed}.pkl")
            if os.path.exists(cache):
                with open(cache, "rb") as file:
                    data = pickle.load(file)
                    train, val = data["train"], data["val"]
            else:
                train = self.generate_fewshot_dataset(train, num_shots=num_shots)
                val = self.generate_fewshot_dataset(val, num_shots=min(num_shots, 4))
                with open(f"{cache}.new", "wb") as file:
                    data = {"train": train, "val": val}
                    pickle.dump(data, file, protocol=pickle.HIGHEST_PROTOCOL)
                os.replace(f"{cache}.new", cache)

        subsample = cfg.DATASET.SUBSAMPLE_CLASSES
        train, val, test = self.subsample_classes(train, val, test, subsample=subsample)
        super().__init__(train_x=train, val=val, test=test)

    def read_folders(self):
        train, val, test = [], [], []
        for label, name in enumerate(listdir_nohidden(self.image_dir, sort=True)):
            folder = os.path.join(self.image_dir, name)
            for i, file in enumerate(listdir_nohidden(folder, sort=True)):
                item = Datum(impath=os.path.join(folder, file), label=label, classname=name)
                (train if i < 6 else val if i < 8 else test).append(item)
        return train, val, test

    @staticmethod
    def save_split(train, val, test, filepath, path_prefix):
        def extract(items):
            return [(os.path.relpath(i.impath, path_prefix), i.label, i.classname) for i in items]

        write_json({"train": extract(train), "val": extract(val), "test": extract(test)}, filepath)

    @staticmethod
    def read_split(filepath, path_prefix):
        def convert(items):
            return [
                Datum(impath=os.path.join(path_prefix, path), label=int(label), classname=name)
                for path, label, name in items
            ]

        split = read_json(filepath)
        return convert(split["train"]), convert(split["val"]), convert(split["test"])

    @staticmethod
    def subsample_classes(*args, subsample="all"):
        if subsample == "all":
            return args
        labels = sorted({item.label for item in args[0]})
        half = (len(labels) + 1) // 2
        selected = labels[:half] if subsample == "base" else labels[half:]
        relabel = {label: new for new, label in enumerate(selected)}
        return [
            [
                Datum(impath=i.impath, label=relabel[i.label], classname=i.classname)
                for i in dataset
                if i.label in selected
            ]
            for dataset in args
        ]
