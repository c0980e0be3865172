"""The catalogue of sources: complete, in one form, and strict about mistakes in a user's own."""

from __future__ import annotations

import re

import pytest
import yaml
from fewshot_datasets import PUBLISHED, DatasetError
from fewshot_datasets.get.catalogue import SOURCES, Remote, load_catalogue

CATALOGUE = load_catalogue()
REMOTES = [
    remote
    for entry in CATALOGUE.values()
    for way in (*entry.ways, entry.by_hand, *(d.sources for d in entry.documents))
    for remote in way
]


def test_every_published_data_set_has_an_entry_in_the_order_of_the_publications():
    assert list(CATALOGUE) == list(PUBLISHED)
    for entry in CATALOGUE.values():
        assert entry.page.startswith("https://")
        assert entry.parts and (entry.ways or (entry.by_hand and entry.sign_up))


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_entry_has_what_its_reader_reads(name):
    entry = CATALOGUE[name]
    reader = entry.reader
    documents = [document.name for document in entry.documents]
    assert documents == ([reader.split_file] if reader.split_file else documents)
    if reader.split_file:
        (split,) = entry.documents
        assert split.sizes == reader.published_sizes
        assert split.sha256 or split.git_blob
    images = sum(part.images or 0 for part in entry.parts)
    if reader.test_only or reader.val_is_test:
        train, _, test = reader.published_sizes
        assert images == train + test
    goals = [part.goal for part in entry.parts if not part.optional and part.holds]
    folders = {"stanford_cars": ["cars_train", "cars_test"]}
    assert goals == folders.get(name, goals)
    assert all(goal.startswith(reader.image_dir) for goal in goals) or name in folders


def test_addresses_are_of_the_three_kinds_and_documents_keep_their_names():
    kinds = re.compile(
        r"https?://\S+|hf://(datasets/)?[\w-]+/[\w-]+(@\w+)?/\S+|"
        r"https://drive\.google\.com/uc\?id=[\w-]{33}"
    )
    assert all(kinds.fullmatch(remote.address) for remote in REMOTES)
    for entry in CATALOGUE.values():
        for document in entry.documents:
            assert {source.name for source in document.sources} == {document.name}


def test_no_address_stands_twice_in_one_data_set():
    for entry in CATALOGUE.values():
        addresses = [remote.address for way in entry.ways for remote in way]
        assert len(set(addresses)) == len(addresses)


def test_a_file_of_ones_own_takes_the_place_of_single_keys(tmp_path):
    mine = tmp_path / "mirror.yaml"
    mine.write_text("dtd:\n  ways: [https://mirror.example/dtd.zip]\n")
    catalogue = load_catalogue(mine)
    assert catalogue["dtd"].ways == ((Remote("https://mirror.example/dtd.zip"),),)
    assert catalogue["dtd"].documents == CATALOGUE["dtd"].documents
    assert catalogue["eurosat"] == CATALOGUE["eurosat"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("dtd: [", "is not YAML"),
        ("- dtd", "expected data sets by name"),
        ("dtds: {}", "no published data set 'dtds'"),
        ("dtd: zip", "dtd is 'zip'"),
        ("dtd: {way: []}", "unknown key 'way'"),
        ("dtd: {ways: x}", "ways is 'x', expected a list"),
        ("dtd: {ways: [{size: 3}]}", "address"),
        ("dtd: {ways: [{address: x, size: big}]}", "size is 'big', expected whole numbers"),
        ("dtd: {ways: [{address: x, size: true}]}", "size is True"),
        ("dtd: {ways: [{address: x, md5: abc}]}", "md5 is 'abc', expected 32 digits"),
        ("dtd: {ways: [3]}", "number 1 is 3"),
        ("dtd: {page: 3}", "page is 3, expected text"),
        ("dtd: {documents: [{name: x, sizes: [a]}]}", "sizes is ['a'], expected a list of whole"),
        ("dtd: {parts: [{goal: images, optional: 1}]}", "optional is 1, expected true or false"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_key_and_value(text, named, tmp_path):
    mine = tmp_path / "mirror.yaml"
    mine.write_text(text)
    with pytest.raises(DatasetError) as e:
        load_catalogue(mine)
    assert str(mine) in str(e.value) and named in str(e.value)
    assert len(str(e.value).splitlines()) == 1


def test_the_shipped_file_has_no_key_twice():
    class Strict(yaml.SafeLoader):
        def construct_mapping(self, node, deep=False):
            keys = [self.construct_object(key, deep) for key, _ in node.value]
            assert len(set(keys)) == len(keys), node.start_mark
            return super().construct_mapping(node, deep)

    assert yaml.load(SOURCES.read_text(), Strict)
