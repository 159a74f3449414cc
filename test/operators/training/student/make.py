"""Writes golden.json: quantiles of Student's t and intervals of means, by scipy (made with 1.17.1). Run: python make.py > golden.json"""

import json

import numpy as np
from scipy import stats

VALUES = [[79.0, 81.5, 80.25, 78.0, 82.75], [5.5, 4.25], [0.5] * 3, [1e-9, 2e-9, 4e-9], [float(n * n % 37) for n in range(40)]]
quantiles = [[p, df, float(stats.t.ppf(p, df))] for p in (0.9, 0.95, 0.975, 0.995, 0.9995) for df in (1, 2, 3, 4, 9, 29, 30, 99, 1000)]
intervals = []
for values in VALUES:
    for confidence in (0.9, 0.95, 0.99):
        half = float(stats.sem(values) * stats.t.ppf((1 + confidence) / 2, len(values) - 1))
        intervals.append({"values": values, "confidence": confidence, "mean": float(np.mean(values)), "halfWidth": half})
print(json.dumps({"quantiles": quantiles, "intervals": intervals}, indent=1))
