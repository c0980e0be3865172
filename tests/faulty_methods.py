"""What can be wrong with a method: each fault by the test of `every_method` that finds it."""

import copy
from typing import ClassVar

import torch
from multimode_ot import Setting
from torch import nn

FAULTS = {}


def found_by(test):
    """Takes a function from a sound method to what a faulty one has in its place."""

    def take(make):
        FAULTS[make.__name__] = (make, test)
        return make

    return take


@found_by("test_exactly_the_prompt_learner_is_trained")
def trains_a_frozen_tensor(sound):
    class Faulty(sound):
        def build_prompt_learner(self):
            self.clip = copy.deepcopy(self.clip)
            self.clip.logit_scale.requires_grad_()
            return super().build_prompt_learner()

    return Faulty


@found_by("test_exactly_the_prompt_learner_is_trained")
def has_a_parameter_without_gradient(sound):
    class Faulty(sound):
        def build_prompt_learner(self):
            learner = super().build_prompt_learner()
            learner.idle = nn.Parameter(torch.zeros(3))
            return learner

    return Faulty


@found_by("test_all_that_is_trained_learns_something")
def has_a_parameter_that_never_moves(sound):
    class Faulty(sound):
        def build_prompt_learner(self):
            learner = super().build_prompt_learner()
            learner.idle = nn.Parameter(torch.zeros(()))
            return learner

        def loss_terms(self, seen):
            return super().loss_terms(seen) | {"idle": 0 * self.prompt_learner.idle}

    return Faulty


@found_by("test_frozen_clip_stays_what_it_is_to_the_bit")
def changes_the_backbone(sound):
    class Faulty(sound):
        def build_prompt_learner(self):
            self.clip = copy.deepcopy(self.clip)
            return super().build_prompt_learner()

        def epoch_ended(self, epoch, epochs):
            self.clip.logit_scale.data *= 1.01

    return Faulty


@found_by("test_a_few_steps_lower_the_loss")
def climbs(sound):
    class Faulty(sound):
        def change_gradients(self, trained):
            for tensor in trained:
                tensor.grad.neg_()

    return Faulty


@found_by("test_a_resumed_training_is_the_whole_one_to_the_bit")
def keeps_a_state_that_is_not_saved(sound):
    class Faulty(sound):
        steps = 0

        def loss_terms(self, seen):
            self.steps += 1
            terms = super().loss_terms(seen)
            return {name: self.steps * term for name, term in terms.items()}

    return Faulty


@found_by("test_saved_prompts_give_a_fresh_model_the_same_logits")
def draws_what_is_not_saved(sound):
    class Faulty(sound):
        def build_prompt_learner(self):
            self.register_buffer("gain", torch.rand(self.clip.embed_width), persistent=False)
            return super().build_prompt_learner()

        def image_features(self, images):
            return super().image_features(images) * self.gain

    return Faulty


@found_by("test_what_is_saved_is_trained_and_depends_on_no_class_but_fixed_ones")
def saves_what_follows_from_the_class_names(sound):
    class Faulty(sound):
        def build_prompt_learner(self):
            learner = super().build_prompt_learner()
            learner.register_buffer("rows", torch.zeros(len(self.classnames), 3))
            return learner

    return Faulty


@found_by("test_other_classes_are_as_in_a_model_made_for_them")
def keeps_the_features_of_former_classes(sound):
    class Faulty(sound):
        text = None

        def class_features(self):
            if self.text is None:
                self.text = super().class_features()
            return self.text

    return Faulty


@found_by("test_names_that_are_none_are_refused_and_change_nothing")
def takes_any_class_names(sound):
    class Faulty(sound):
        def set_classes(self, classnames):
            self.classnames = list(classnames)

    return Faulty


@found_by("test_an_image_alone_has_the_logits_that_it_has_in_a_batch")
def looks_at_the_batch(sound):
    class Faulty(sound):
        def logits(self, image, text):
            return super().logits(image - 0.1 * image.mean(0), text)

    return Faulty


@found_by("test_images_in_another_order_have_their_own_logits")
def looks_at_the_order(sound):
    class Faulty(sound):
        def logits(self, image, text):
            return super().logits(image + 0.1 * image.roll(1, 0), text)

    return Faulty


@found_by("test_an_evaluation_has_no_chance_in_it")
def leaves_evaluation_to_chance(sound):
    class Faulty(sound):
        def image_features(self, images):
            return nn.functional.dropout(super().image_features(images))

    return Faulty


@found_by("test_an_evaluation_between_two_steps_changes_neither")
def learns_from_evaluation(sound):
    class Faulty(sound):
        def class_features(self):
            with torch.no_grad():
                for tensor in self.prompt_learner.parameters():
                    tensor += 0.01
            return super().class_features()

    return Faulty


@found_by("test_pooled_features_are_unit_vectors_of_images_and_classes")
def has_long_features(sound):
    class Faulty(sound):
        def pooled(self, image, text):
            return 2 * image, text

    return Faulty


@found_by("test_the_learned_sides_are_those_that_depend_on_what_is_trained")
def learns_a_side_that_it_does_not_name(sound):
    class Faulty(sound):
        learned = ("text",)

    return Faulty


@found_by("test_logits_are_finite_float32_of_the_images_and_classes")
def has_half_logits(sound):
    class Faulty(sound):
        def logits(self, image, text):
            return super().logits(image, text).half()

    return Faulty


@found_by("test_what_is_trained_is_float32_and_takes_finite_steps")
def trains_in_the_precision_of_the_towers(sound):
    class Faulty(sound):
        def build_prompt_learner(self):
            return super().build_prompt_learner().to(self.precision.weights)

    return Faulty


@found_by("test_every_setting_has_a_line_of_help_and_a_plain_default")
def has_a_setting_without_help(sound):
    class Faulty(sound):
        settings: ClassVar = {"GAIN": Setting(1.0, "")}

    return Faulty


@found_by("test_its_defaults_pass_its_own_checks")
def has_a_default_out_of_bounds(sound):
    class Faulty(sound):
        settings: ClassVar = {"GAIN": Setting(0.0, "a gain", above=0)}

    return Faulty


@found_by("test_what_a_declaration_rules_out_is_refused_before_weights_are_read")
def checks_nothing(sound):
    class Faulty(sound):
        @classmethod
        def check_settings(cls, check):
            pass

    return Faulty


@found_by("test_a_choice_of_a_setting_is_taken_or_refused_with_the_key")
def fails_with_a_choice_that_it_offers(sound):
    class Faulty(sound):
        settings: ClassVar = {"SHARE": Setting(1, "divides", least=0)}

        def logits(self, image, text):
            return super().logits(image, text) / self.cfg.SHARE

    return Faulty


@found_by("test_a_step_is_finite_and_its_terms_make_up_the_loss")
def has_features_that_no_regulariser_can_read(sound):
    class Faulty(sound):
        def pooled(self, image, text):
            return image[:, :3], text

    return Faulty
