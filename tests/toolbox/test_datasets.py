"""Section 6: records, the base class of readers, and which images a seed picks."""

import pickle
import pickletools
import random

import pytest
from dassl.data.datasets import DatasetBase, Datum, build_dataset
from dassl.data.datasets.base_dataset import Datum as DefinedHere


@pytest.fixture
def items(tmp_path):
    """`items("aabc")`: one record for each letter, its label by the letter, all with one file."""
    file = tmp_path / "image.png"
    file.touch()

    class Item(Datum):
        """Tells records with one file apart."""

        def __repr__(self):
            return self.classname

    def make(letters):
        return [
            Item(str(file), label=ord(letter) - ord("a"), classname=f"{letter}{i}")
            for i, letter in enumerate(letters)
        ]

    return make


def names(data):
    return [item.classname for item in data]


def test_a_datum_is_four_read_only_values(tmp_path):
    file = tmp_path / "a.png"
    file.touch()
    datum = Datum(impath=str(file), label=3, domain=1, classname="dog")
    assert (datum.impath, datum.label, datum.domain, datum.classname) == (str(file), 3, 1, "dog")
    with pytest.raises(AttributeError):
        datum.label = 4


def test_a_datum_without_a_file_is_refused_with_its_path(tmp_path):
    with (
        pytest.warns(UserWarning, match="No file found"),
        pytest.raises(AssertionError, match="gone"),
    ):
        Datum(impath=str(tmp_path / "gone.png"))
    with pytest.raises(AssertionError, match="must be a str"):
        Datum(impath=tmp_path)


def test_pickles_name_the_module_and_attributes_that_other_programs_expect(tmp_path):
    file = tmp_path / "a.png"
    file.touch()
    content = pickle.dumps([Datum(str(file), 3, 1, "dog")], protocol=pickle.HIGHEST_PROTOCOL)
    strings = [argument for _, argument, _ in pickletools.genops(content) if argument]
    assert "dassl.data.datasets.base_dataset" in strings
    file.unlink()  # unpickling looks at no file
    (datum,) = pickle.loads(content)
    assert type(datum) is DefinedHere
    assert vars(datum) == {"_impath": str(file), "_label": 3, "_domain": 1, "_classname": "dog"}


def test_classes_come_from_the_training_list(items):
    data = items("cab")
    dataset = DatasetBase(train_x=data, test=items("d"))
    assert dataset.num_classes == 3
    assert dataset.lab2cname == {2: "c0", 0: "a1", 1: "b2"}
    assert dataset.classnames == ["a1", "b2", "c0"]
    assert dataset.train_x is data
    assert dataset.train_u is None and dataset.val is None


def test_the_number_of_classes_is_the_largest_label_plus_one(items):
    dataset = DatasetBase(train_x=items("ae"))
    assert dataset.num_classes == 5
    assert dataset.classnames == ["a0", "e1"]


def test_an_empty_training_list_says_whose_and_where():
    class Pets(DatasetBase):
        dataset_dir = "/somewhere/pets"

    with pytest.raises(ValueError, match=r'training split of Pets is empty.*"/somewhere/pets"'):
        Pets(train_x=[])


def test_splitting_keeps_the_order_of_first_appearance(items):
    groups = DatasetBase.split_dataset_by_label(None, items("bab"))
    assert {label: names(data) for label, data in groups.items()} == {1: ["b0", "b2"], 0: ["a1"]}
    assert list(groups) == [1, 0]
    assert list(DatasetBase.split_dataset_by_domain(None, items("ba"))) == [0]


def test_few_shot_picks_for_a_seed_are_these(items):
    """Labels shuffled; c has fewer images than shots, b exactly as many."""
    data = items("dadcadbadadbda")
    dataset = DatasetBase.__new__(DatasetBase)  # readers call helpers before the constructor
    random.seed(1)
    picked = dataset.generate_fewshot_dataset(data, num_shots=2)

    random.seed(1)
    by_hand = []
    for label in (3, 0, 2, 1):  # d, a, c, b: by first appearance
        group = [item for item in data if item.label == label]
        by_hand += random.sample(group, 2) if len(group) >= 2 else group
    assert names(picked) == names(by_hand)
    assert random.random() == random_after(data)


def random_after(data):
    """The draw that follows on those for classes d, a and b; c draws nothing."""
    random.seed(1)
    for label in (3, 0, 1):
        random.sample(range(sum(item.label == label for item in data)), 2)
    return random.random()


def test_the_worked_example_of_the_random_stream(items):
    dataset = DatasetBase.__new__(DatasetBase)
    random.seed(1)
    picked = dataset.generate_fewshot_dataset(items("aaaaabbbcc"), num_shots=3)
    # random.sample of 5 and of 3 items after random.seed(1); the two of the last class undrawn.
    assert names(picked) == WORKED_EXAMPLE


WORKED_EXAMPLE = ["a1", "a0", "a4", "b5", "b6", "b7", "c8", "c9"]


def test_all_shots_draw_nothing_and_print_nothing(items, capsys):
    dataset = DatasetBase.__new__(DatasetBase)
    one, two = items("ab"), items("a")
    state = random.getstate()
    assert dataset.generate_fewshot_dataset(one, num_shots=0) is one
    assert dataset.generate_fewshot_dataset(one, two) == (one, two)
    assert dataset.generate_fewshot_dataset(items("ab"), num_shots=9) != []
    assert random.getstate() == state
    assert capsys.readouterr().out == "Creating a 9-shot dataset\n"


def test_several_sources_give_a_list_of_lists_in_order(items, capsys):
    dataset = DatasetBase.__new__(DatasetBase)
    random.seed(3)
    both = dataset.generate_fewshot_dataset(items("aaab"), items("bbba"), num_shots=1)
    random.seed(3)
    first = dataset.generate_fewshot_dataset(items("aaab"), num_shots=1)
    second = dataset.generate_fewshot_dataset(items("bbba"), num_shots=1)
    assert [names(data) for data in both] == [names(first), names(second)]
    assert capsys.readouterr().out == "Creating a 1-shot dataset\n" * 3


def test_repeating_draws_with_replacement(items):
    dataset = DatasetBase.__new__(DatasetBase)
    data = items("aa")
    random.seed(4)
    picked = dataset.generate_fewshot_dataset(data, num_shots=4, repeat=True)
    random.seed(4)
    assert names(picked) == names(random.choices(data, k=4))


def test_a_download_is_not_part_of_the_stand_in():
    with pytest.raises(NotImplementedError, match="fetch"):
        DatasetBase.download_data(None, "an address", "a place")


def test_an_unknown_data_set_lists_the_names_and_the_nearest(make_cfg):
    with pytest.raises(ValueError, match=r"'Shapes'.*got \[Shape\] \(do you mean \[Shapes\]"):
        build_dataset(make_cfg("DATASET.NAME", "Shape"))
