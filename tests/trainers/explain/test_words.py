"""The words nearest to learned tokens."""

import pytest
import torch
from any_method import Case
from multimode_ot.backbone.class_tokens import embed_words, tokenize, word_of_token
from multimode_ot.explain import words
from multimode_ot.explain.words import nearest_words
from random_clip import random_state

EMBEDDING = random_state("tiny-vit")["token_embedding.weight"]


def by_hand(embedding, point):
    """All distances to a point, the obvious way."""
    return (embedding.double() - point.double()).square().sum(-1).sqrt()


def test_initial_words_are_their_own_nearest_words():
    model = Case("MultiModeOT").build()
    found = nearest_words(EMBEDDING, model.learned_words())
    first = found.words["prompt 1"]
    assert [near[0].text for near in first] == ["a", "photo"]
    assert [near[0].distance for near in first] == [0, 0]
    assert list(found.words) == ["prompt 1", "prompt 2", "prompt 3", "prompt 4"]


def test_nearest_words_are_those_of_all_distances():
    points = torch.randn(3, 64, generator=torch.Generator().manual_seed(0)) * 0.02
    found = nearest_words(EMBEDDING, {"context": points}, count=4).words["context"]
    for point, near in zip(points, found, strict=True):
        distances, rows = by_hand(EMBEDDING, point).sort()
        assert [w.token for w in near] == rows[:4].tolist()
        assert [w.distance for w in near] == pytest.approx(distances[:4].tolist(), rel=1e-5)


def test_the_distance_does_not_cancel_next_to_a_word():
    point = EMBEDDING[320] + 1e-5
    (near,) = nearest_words(EMBEDDING, {"context": point[None]}, count=1).words["context"]
    assert near[0].token == 320
    assert near[0].distance == pytest.approx(1e-5 * 64**0.5, rel=1e-2)


def test_chunks_change_nothing(monkeypatch):
    points = EMBEDDING[100:107] + 0.01
    whole = nearest_words(EMBEDDING, {"context": points})
    monkeypatch.setattr(words, "CHUNK_BYTES", 1)
    assert nearest_words(EMBEDDING[:500], {"context": points}).words == (
        nearest_words(EMBEDDING[:500], {"context": points}).words
    )
    monkeypatch.setattr(words, "CHUNK_BYTES", 2**20)
    assert nearest_words(EMBEDDING, {"context": points}).words == whole.words


def test_the_scale_is_the_mean_distance_to_the_nearest_other_row():
    rows = torch.tensor([[1.0, 0], [1.0, 1], [1.0, 3], [5.0, 3]])
    scale = nearest_words(rows, {}).scale
    assert scale == (pytest.approx((1 + 1 + 2 + 4) / 4), 4, 4)


def test_a_row_that_is_there_twice_is_at_no_distance_from_the_other():
    rows = torch.tensor([[1.0, 0], [1.0, 0], [1.0, 0], [3.0, 0]])
    assert nearest_words(rows, {}).scale.mean == pytest.approx((0 + 0 + 0 + 2) / 4)


def test_rows_that_hold_nothing_are_no_words():
    rows = torch.zeros(6, 2)
    rows[2], rows[4] = torch.tensor([1.0, 0]), torch.tensor([0, 3.0])
    found = nearest_words(rows, {"context": torch.tensor([[0.1, 0.1]])})
    assert [w.token for w in found.words["context"][0]] == [2, 4]
    assert found.scale.vocabulary == 2
    with pytest.raises(ValueError, match="zero: it holds no word"):
        nearest_words(torch.zeros(6, 2), {})


def test_the_scale_of_many_rows_is_that_of_a_sample(monkeypatch):
    rows = EMBEDDING[:600]
    exact = nearest_words(rows, {}).scale
    monkeypatch.setattr(words, "ALL_ROWS", 500)
    monkeypatch.setattr(words, "SAMPLED_ROWS", 200)
    sampled = nearest_words(rows, {}).scale
    assert (exact.rows, sampled.rows) == (600, 200)
    assert sampled.mean == pytest.approx(exact.mean, rel=0.05)


def test_tokens_read_as_they_are_written():
    ids = tokenize(["a photo of jekylls"])[0]
    pieces = [word_of_token(i) for i in ids[: int(ids.argmax()) + 1].tolist()]
    assert pieces == ["<|startoftext|>", "a", "photo", "of", "jeky-", "lls", "<|endoftext|>"]
    assert word_of_token(10**6) == "token 1000000"


def test_class_specific_contexts_are_named_by_class():
    model = Case("CoOp", changes=(("CSC", True),)).build(["dog", "tree_frog"])
    learned = model.learned_words()
    assert list(learned) == ["context of class 1, dog", "context of class 2, tree_frog"]
    assert torch.equal(learned["context of class 2, tree_frog"], model.prompt_learner.ctx[1])


@pytest.mark.parametrize("method", ["CoOp", "MaPLe", "IVLP", "CoPrompt", "PromptSRC", "KgCoOp"])
def test_methods_with_initial_words_have_them_before_training(method):
    changes = (("CTX_INIT", "a photo of a"),)
    model = Case(method, changes=changes).build()
    (tokens,) = model.learned_words().values()
    expected = embed_words(model.clip, "a photo of a")[: len(tokens)]
    torch.testing.assert_close(tokens, expected)
