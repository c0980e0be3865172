"""Hand-written prompt templates by `DATASET.NAME`, and ensembles for all data sets.

`{}` is the class name; a data set that is not named has `DEFAULT_TEMPLATE`.
"""

from collections.abc import Mapping

DEFAULT_TEMPLATE = "a photo of a {}."

# CoOp's.
DATASET_TEMPLATES = {
    "OxfordPets": "a photo of a {}, a type of pet.",
    "OxfordFlowers": "a photo of a {}, a type of flower.",
    "FGVCAircraft": "a photo of a {}, a type of aircraft.",
    "DescribableTextures": "{} texture.",
    "EuroSAT": "a centered satellite photo of {}.",
    "Food101": "a photo of {}, a type of food.",
    "UCF101": "a photo of a person doing {}.",
}

# Seven that CLIP's authors chose on ImageNet.
IMAGENET_TEMPLATES = [
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
]

# KgCoOp's teacher: CoOp's, but for textures.
KGCOOP_TEMPLATES = DATASET_TEMPLATES | {
    "DescribableTextures": "a photo of a {}, a type of texture.",
}

# ProGrad's teacher.
PROGRAD_TEMPLATES = {
    "OxfordPets": "a type of pet, a photo of a {}.",
    "OxfordFlowers": "a type of flower, a photo of a {}.",
    "FGVCAircraft": "a type of aircraft, a photo of a {}.",
    "DescribableTextures": "a texture of {}.",
    "EuroSAT": "a centered satellite photo of {}.",
    "Food101": "a type of food, a photo of {}.",
    "UCF101": "a photo of a person doing {}.",
}

# The words in front of the class name from which PLOT++ starts its four text prompts.
PLOTPP_USUAL = ("a photo of a", "this is a photo", "this is picture of", "one picture of a")
PLOTPP_TEMPLATES = {
    "Caltech101": PLOTPP_USUAL,
    "StanfordCars": PLOTPP_USUAL,
    "SUN397": PLOTPP_USUAL,
    "ImageNet": ("a photo of a", "this is a photo", "this is a", "one picture of a"),
    "DescribableTextures": (
        "a photo of a texture",
        "this is a photo texture",
        "this is a picture texture",
        "one picture of a texture",
    ),
    "EuroSAT": (
        "a centered satellite photo of",
        "a centered satellite picture of",
        "this is centered satellite photo of",
        "one centered satellite photo of a",
    ),
    "FGVCAircraft": (
        "a photo of an aircraft",
        "a picture of an aircraft",
        "this is aircraft picture of",
        "one picture of an aircraft",
    ),
    "Food101": (
        "a photo of a food",
        "this is a food photo",
        "this is food picture of",
        "one picture of a food",
    ),
    "OxfordFlowers": (
        "a photo of a flower",
        "one picture of a flower",
        "this is flower picture of",
        "one picture of a flower",
    ),
    "OxfordPets": (
        "a photo of a pet",
        "one picture of a pet",
        "this is pet picture of",
        "one picture of a pet",
    ),
    "UCF101": (
        "a photo of a person doing",
        "this is a photo people doing",
        "this is picture of people doing",
        "one picture of a person doing",
    ),
}

# The sixty of CLIP's eighty for ImageNet that PromptSRC's teacher takes on every data set.
ENSEMBLE_TEMPLATES = (
    "a photo of a {}.",
    "a bad photo of a {}.",
    "a photo of many {}.",
    "a sculpture of a {}.",
    "a photo of the hard to see {}.",
    "a low resolution photo of the {}.",
    "a rendering of a {}.",
    "graffiti of a {}.",
    "a bad photo of the {}.",
    "a cropped photo of the {}.",
    "a tattoo of a {}.",
    "the embroidered {}.",
    "a photo of a hard to see {}.",
    "a bright photo of a {}.",
    "a photo of a clean {}.",
    "a photo of a dirty {}.",
    "a dark photo of the {}.",
    "a drawing of a {}.",
    "a photo of my {}.",
    "the plastic {}.",
    "a photo of the cool {}.",
    "a close-up photo of a {}.",
    "a black and white photo of the {}.",
    "a painting of the {}.",
    "a painting of a {}.",
    "a pixelated photo of the {}.",
    "a sculpture of the {}.",
    "a bright photo of the {}.",
    "a cropped photo of a {}.",
    "a plastic {}.",
    "a photo of the dirty {}.",
    "a jpeg corrupted photo of a {}.",
    "a blurry photo of the {}.",
    "a photo of the {}.",
    "a good photo of the {}.",
    "a rendering of the {}.",
    "a {} in a video game.",
    "a photo of one {}.",
    "a doodle of a {}.",
    "a close-up photo of the {}.",
    "the origami {}.",
    "the {} in a video game.",
    "a sketch of a {}.",
    "a doodle of the {}.",
    "a origami {}.",
    "a low resolution photo of a {}.",
    "the toy {}.",
    "a rendition of the {}.",
    "a photo of the clean {}.",
    "a photo of a large {}.",
    "a rendition of a {}.",
    "a photo of a nice {}.",
    "a photo of a weird {}.",
    "a blurry photo of a {}.",
    "a cartoon {}.",
    "art of a {}.",
    "a sketch of the {}.",
    "a embroidered {}.",
    "a pixelated photo of a {}.",
    "itap of the {}.",
)


def dataset_template(dataset: str | None, templates: Mapping[str, str] = DATASET_TEMPLATES) -> str:
    """A data set's template in one of the tables above; the default outside a host."""
    return templates.get(dataset or "", DEFAULT_TEMPLATE)


def class_templates(
    dataset: str | None, templates: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """All templates of a data set in a table of several; where it is not named, those under "",
    else CoOp's for it."""
    found = templates.get(dataset or "") or templates.get("")
    return found or (dataset_template(dataset),)
