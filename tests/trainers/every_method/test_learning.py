"""Every method trains its own parameters and nothing else, and to a lower loss."""

import torch
from any_method import Training


def test_exactly_the_prompt_learner_is_trained(case):
    model = case.build()
    own = {f"prompt_learner.{k}": p for k, p in model.prompt_learner.named_parameters()}
    assert {k for k, p in model.named_parameters() if p.requires_grad} == set(own)
    if case.fitted:
        return
    assert bool(own) == case.trains
    if not case.trains:
        return
    Training(case, model).run(3)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in own.values())
    assert all(p.grad is None for k, p in model.named_parameters() if k not in own)


def test_all_that_is_trained_learns_something(learner):
    """From one start or another: hidden units that are off learn nothing from that one."""
    still = set(dict(learner.build().prompt_learner.named_parameters()))
    for seed in range(6):
        model = learner.build(seed=seed)
        before = {k: p.detach().clone() for k, p in model.prompt_learner.named_parameters()}
        Training(learner, model).run(2)
        still -= {
            k
            for k, v in before.items()
            if not torch.equal(v, model.prompt_learner.get_parameter(k))
        }
        if not still:
            return
    raise AssertionError(f"{sorted(still)} did not move")


def test_frozen_clip_stays_what_it_is_to_the_bit(learner):
    model = learner.build()
    before = {k: v.clone() for k, v in model.clip.state_dict().items()}
    training = Training(learner, model)
    training.run(training.epochs)
    for key, value in model.clip.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_a_few_steps_lower_the_loss(learner):
    """On images of one class, since a random CLIP tells no classes apart."""
    training = Training(learner, learner.build().train())
    training.optimizer = torch.optim.Adam(training.model.prompt_learner.parameters(), lr=0.01)
    images, labels = learner.images(6), torch.zeros(6, dtype=torch.long)
    losses = [training.step(images, labels)["loss"] for _ in range(8)]
    assert losses[-1] < 0.8 * losses[0], losses


def test_one_image_of_one_class_can_be_learned_and_evaluated(learner):
    model = learner.build(["cat"])
    summaries = Training(learner, model, batch=1).run(2)
    assert all(torch.tensor([*summary.values()]).isfinite().all() for summary in summaries)
    assert summaries[0]["acc"] == 100
    found = model.eval()(learner.images(1))
    assert found.shape == (1, 1) and found.isfinite().all()


def test_an_evaluation_between_two_steps_changes_neither(learner):
    """As hosts do it: without gradients, with the classes' features kept for all batches."""
    results = []
    for evaluate in (False, True):
        model = learner.build()
        training = Training(learner, model)
        for _ in range(2):
            if evaluate:
                with torch.inference_mode():
                    model.eval()(learner.images(3), model.class_features())
            training.run(1)
        results.append([p.detach().clone() for p in model.prompt_learner.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
