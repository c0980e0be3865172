"""Whether several modes are several."""

import pytest
import torch
from any_method import Case
from cases_of_methods import cases
from multimode_ot.explain.diversity import cosines, diversity
from multimode_ot.methods import BUILT_IN

MODES = {  # textual, visual
    "MultiModeOT": (4, 4),
    "ALIGN": (4, 4),
    "PLOT": (4, None),
    "PLOTPP": (4, 4),
}


def test_cosines_are_means_over_what_is_there_of_each_pair():
    features = torch.tensor([[[1.0, 0], [1, 0]], [[1, 0], [1, 0]], [[0, 1], [1, 0]]])
    found = cosines(features)  # three modes, two images: in the second they are one
    assert found.matrix == [[1, 1, 0.5], [1, 1, 0.5], [0.5, 0.5, 1]]
    assert found.mean == pytest.approx(2 / 3) and found.over == 2
    assert (found.least, found.most) == (pytest.approx(1 / 3), pytest.approx(1))
    assert cosines(features[:1]) is None


@pytest.mark.parametrize("method", BUILT_IN)
def test_every_method_has_the_diversity_of_its_modes(method):
    case = cases(method)[0]
    model = case.as_trained()
    found = diversity(model, [case.images(3), case.images(2, seed=5)])
    sides = tuple(side and len(side.matrix) for side in found)
    assert sides == MODES.get(method, (None, None))
    if found.text:
        assert found.text.over == len(model.classnames)
    if found.image:
        assert found.image.over == 5


def test_alike_modes_have_cosine_one():
    case = Case("MultiModeOT")
    model = case.build().eval()
    with torch.no_grad():
        for tensor in model.prompt_learner.parameters():
            if tensor.ndim == 3:
                tensor[:] = tensor[:1]
    model.prompt_learner.prefixes = model.prompt_learner.prefixes[1:2] * 4
    model.set_classes(model.classnames)
    found = diversity(model, [case.images(2)])
    assert found.text.mean == pytest.approx(1, abs=1e-5)
    assert found.image.mean == pytest.approx(1, abs=1e-5)


def test_no_image_is_refused():
    with pytest.raises(ValueError, match="over no images is nothing"):
        diversity(Case("MultiModeOT").build().eval(), [])
