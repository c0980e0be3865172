"""Averages that the methods' own repositories publish, for reference rows. Not measured here.

Base-to-new: ViT-B/16, mean over 11 data sets and 3 seeds, 16 shots; the harmonic mean is that of
the averaged columns.
"""

BASE_TO_NEW: dict[str, tuple[float, float, float]] = {
    "CLIP": (69.34, 74.22, 71.70),
    "CoOp": (82.69, 63.22, 71.66),
    "CoCoOp": (80.47, 71.69, 75.83),
    "VPT": (80.24, 73.43, 76.68),
    "IVLP, language only": (81.72, 73.81, 77.56),
    "IVLP": (82.15, 74.07, 77.90),
    "MaPLe": (82.28, 75.14, 78.55),
    "CoOp, table 2 of the MaPLe paper": (80.85, 70.02, 75.04),
    "IVLP, 4 + 4 tokens, 20 epochs": (84.21, 71.79, 77.51),
}
BASE_TO_NEW_SOURCE = (
    "MaPLe's README, model zoo and issue 31, the last one PromptSRC's README: ViT-B/16, mean over "
    "11 data sets and 3 seeds"
)

SHOTS = (1, 2, 4, 8, 16)
# PLOT++ by DATASET.NAME, in the order of SHOTS; the average is over these eleven.
PLOTPP: dict[str, tuple[float, ...]] = {
    "Caltech101": (94.34, 94.69, 95.13, 95.51, 96.04),
    "DescribableTextures": (54.57, 56.72, 62.43, 66.49, 71.43),
    "EuroSAT": (65.41, 76.80, 83.21, 88.37, 92.00),
    "FGVCAircraft": (28.60, 31.14, 35.29, 41.42, 46.74),
    "OxfordFlowers": (80.48, 89.81, 92.93, 95.44, 97.56),
    "Food101": (86.16, 86.33, 86.46, 86.58, 87.11),
    "ImageNet": (66.45, 68.28, 70.40, 71.31, 72.60),
    "OxfordPets": (91.89, 92.29, 92.55, 93.02, 93.59),
    "StanfordCars": (68.81, 73.17, 76.25, 81.26, 84.55),
    "SUN397": (66.77, 68.06, 71.73, 73.93, 76.03),
    "UCF101": (74.31, 76.76, 79.76, 82.80, 85.34),
    "average": (70.71, 74.00, 76.92, 79.65, 82.09),
}
FEW_SHOT_SOURCE = "PLOT++'s README: ViT-B/16, mean over 3 seeds; average over 11 data sets"
