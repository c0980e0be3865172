"""TCP's templates by `DATASET.NAME`: what its teacher reads, and the prompts.

`{}` is the class name. Of a prompt, the context replaces the first four words; the others stay
(`person doing`). A data set that is not named has the teacher's `DEFAULT_TEMPLATE`, and this
module's `DEFAULT_PROMPT`.
"""

DEFAULT_PROMPT = "X X X X {}."

TCP_TEACHERS = {
    "OxfordPets": "a photo of a {}, a type of pet.",
    "OxfordFlowers": "a photo of a {}, a type of flower.",
    "FGVCAircraft": "a photo of an aircraft {}.",
    "DescribableTextures": "a photo of a {}, a type of texture.",
    "EuroSAT": "a centered satellite photo of {}.",
    "Food101": "a photo of a {}, a type of food.",
    "UCF101": "a photo of a person doing {}.",
}

TCP_PROMPTS = {
    "OxfordPets": "X X X X {}, a type of pet.",
    "OxfordFlowers": "X X X X {}, a type of flower.",
    "FGVCAircraft": "X X X X {}, a type of aircraft.",
    "DescribableTextures": "X X X X {} texture.",
    "StanfordCars": "X X X X {}, a type of car",
    "Food101": "X X X X {}, a type of food.",
    "UCF101": "a photo of a person doing {}.",
    "ImageNet": "a photo of a {}.",
    "ImageNetSketch": "a photo of a {}.",
    "ImageNetV2": "a photo of a {}.",
    "ImageNetA": "a photo of a {}.",
    "ImageNetR": "a photo of a {}.",
}
