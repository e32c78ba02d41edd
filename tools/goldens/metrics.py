"""Makes tests/nla/golden/metrics.json: scores of seeded random vectors by numpy, from formats.md section 1 alone."""
import json
import sys

import numpy as np


def scaled(x, scale):
    norm = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.where(norm > 0, x / np.where(norm > 0, norm, 1) * scale, 0.0)


def main(path):
    rng = np.random.default_rng(7)
    n, d = 40, 12
    mean = rng.normal(size=d) * 2
    gold = (mean + rng.normal(size=(n, d))).astype(np.float32)
    predicted = (gold * 3 + rng.normal(size=(n, d)) * 2).astype(np.float32)
    predicted[5] = 0  # a zero row stays zero
    s = np.sqrt(d)
    g, p = scaled(gold.astype(np.float64), s), scaled(predicted.astype(np.float64), s)
    rows = ((p - g) ** 2).mean(axis=1)
    mse = rows.mean()
    mu = g.mean(axis=0)
    raw_variance = ((g - mu) ** 2).sum(axis=1).mean() / d
    mean_norm = ((g - scaled(mu, s)) ** 2).mean()
    norms = np.linalg.norm(p, axis=1) * np.linalg.norm(g, axis=1)
    cosine = np.where(norms > 0, (p * g).sum(axis=1) / np.where(norms > 0, norms, 1), 0)

    boot = []
    for _ in range(4000):  # baselines recomputed from scratch in every resample
        i = rng.integers(0, n, n)
        m = g[i].mean(axis=0)
        error = rows[i].mean()
        boot.append([1 - error / ((g[i] - m) ** 2).mean(), 1 - error / ((g[i] - scaled(m, s)) ** 2).mean()])
    low, high = np.percentile(np.array(boot), [2.5, 97.5], axis=0)
    golden = {
        "made_by": f"tools/goldens/metrics.py, numpy {np.__version__}",
        "d": d,
        "gold": [float(x) for x in gold.ravel()],
        "predicted": [float(x) for x in predicted.ravel()],
        "row_mse": [float(x) for x in rows],
        "mse": float(mse),
        "cosine_mean": float(cosine.mean()),
        "baseline_raw_variance": float(raw_variance),
        "baseline_mean_norm": float(mean_norm),
        "fve_raw_variance": float(1 - mse / raw_variance),
        "fve_mean_norm": float(1 - mse / mean_norm),
        "interval_raw_variance": [float(low[0]), float(high[0])],
        "interval_mean_norm": [float(low[1]), float(high[1])],
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(golden, file, indent=0)


if __name__ == "__main__":
    main(sys.argv[1])
