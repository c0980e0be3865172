"""What each cell of a table must hold, computed the slow way from the list of results.

Values are a dict by seed; under the seed None: one that holds for every seed.
"""

import itertools
import math
import statistics


def trains_nothing(result):
    if "trained_parameters" in result:
        rule = result.get("selection", {}).get("rule", "none")
        return result["trained_parameters"] == 0 and rule == "none"
    untrained = result.get("selection", {}).get("rule") == "initial"
    return result["shots"] == 0 and result["epoch"] == 0 and not untrained


def label(result):
    selection = result.get("selection", {})
    mark = " (chosen on test)" if selection.get("split") == "test" else ""
    return result["method"] + (" (untrained)" if selection.get("rule") == "initial" else mark)


def heading(result):
    return f"{result['shots']} shots" if result["shots"] > 0 else "all images"


def metrics(results, protocol):
    """The headings below a data set's name."""
    if protocol == "base2new":
        return ["base", "new", "H"]
    if protocol != "fewshot":
        return ["accuracy"]
    numbers = {r["shots"] for r in results if not trains_nothing(r)}
    found = [f"{n} shots" for n in sorted(numbers) if n > 0]
    found += ["all images"] if any(n <= 0 for n in numbers) else []
    return found or ["zero-shot"]


def columns(results, protocol):
    """`(dataset, metric)` from left to right."""
    datasets = sorted({r["dataset"] for r in results})
    first = []
    if protocol == "cross_dataset" and "ImageNet" in datasets:
        datasets.remove("ImageNet")
        first = [("ImageNet", "source accuracy")]
    datasets += ["average"] if len(datasets) > 1 else []
    return first + [(d, m) for d in datasets for m in metrics(results, protocol)]


def values(results, protocol, row, dataset, metric):
    if dataset == "average":
        rest = sorted({r["dataset"] for r in results} - {"average", "ImageNet"})
        if metric != "H":
            parts = [values(results, protocol, row, d, metric) for d in rest]
            return joined(parts, statistics.fmean)
    if metric == "H":
        parts = [values(results, protocol, row, dataset, half) for half in ("base", "new")]
        return joined(parts, lambda v: 2 * v[0] * v[1] / (v[0] + v[1]) if sum(v) else 0.0)
    found = {}
    for r in results:
        if label(r) != row or r["dataset"] != dataset:
            continue
        if protocol == "base2new" and r["subset"] != metric:
            continue
        if protocol == "fewshot" and not trains_nothing(r) and heading(r) != metric:
            continue
        seed = None if trains_nothing(r) else r["seed"]
        assert found.get(seed, r["accuracy"]) == r["accuracy"]
        found[seed] = r["accuracy"]
    return found


def joined(parts, function):
    seeds = {seed for part in parts for seed in part}
    seeds = seeds - {None} or seeds
    found = {}
    for seed in seeds:
        each = [part.get(seed, part.get(None)) for part in parts]
        if None not in each:
            found[seed] = function(each)
    return found


def mean(found):
    return sum(found.values()) / len(found)


def spread(found):
    return math.sqrt(sum((v - mean(found)) ** 2 for v in found.values()) / len(found))


def text(found, usual):
    """A cell as a plain table shows it; `usual`: the most seeds that a cell has."""
    if not found:
        return "missing"
    shown = f"{statistics.fmean(found.values()):.2f}"
    if len(found) > 1:
        shown += f" ± {statistics.pstdev(found.values()):.2f}"
    return shown if len(found) == usual else f"{shown} (n={len(found)})"


def differences(results, protocol, first, second):
    """By metric: `first - second` for each data set and seed that both have."""
    found = {}
    for dataset, metric in columns(results, protocol):
        if dataset != "average":
            pair = [values(results, protocol, row, dataset, metric) for row in (first, second)]
            both = joined(pair, lambda v: v[0] - v[1])
            found.setdefault(metric, []).extend(both.values())
    return {metric: each for metric, each in found.items() if each}


def agrees(ours, published, seeds):
    """Whether a published mean over so many seeds is within the scatter of ours."""
    n = len(ours)
    spread = math.sqrt(sum((v - statistics.fmean(ours)) ** 2 for v in ours) / (n - 1))
    quantile = {2: 12.7062047362, 3: 4.3026527297, 4: 3.1824463053, 5: 2.7764451052}[n]
    half = quantile * spread * math.sqrt(1 / n + 1 / seeds) + 0.005
    return abs(statistics.fmean(ours) - published) <= half, half


def mcnemar(answers):
    """Two-sided exact p: the chance of every split of the images that one of two methods alone got
    right which is no likelier than the one found."""
    b = sum(first and not second for first, second in answers)
    c = sum(second and not first for first, second in answers)
    chances = [math.comb(b + c, k) / 2 ** (b + c) for k in range(b + c + 1)]
    return sum(chance for chance in chances if chance <= chances[b] * (1 + 1e-9))


def resampled(answers):
    """The whole distribution of the resampled difference of two methods, in points.

    Args:
        answers: by seed a list over images of whether the two were right.

    Returns:
        The chance of each difference.
    """
    by_seed = list(answers.values())
    images = len(by_seed[0])
    found = {}
    for draw in itertools.product(range(len(by_seed)), repeat=len(by_seed)):
        sums = {0: 1.0}
        steps = [sum(by_seed[s][i][0] - by_seed[s][i][1] for s in draw) for i in range(images)]
        for _ in range(images):
            further = {}
            for value, chance in sums.items():
                for step in steps:
                    further[value + step] = further.get(value + step, 0) + chance / images
            sums = further
        for value, chance in sums.items():
            points = 100 * value / (images * len(draw))
            found[points] = found.get(points, 0) + chance / len(by_seed) ** len(by_seed)
    return found
