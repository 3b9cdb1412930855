"""Statistics of two rates, of many tests and of short series: numbers in, numbers out.

Begin with `proportions.compare`, which needs no more than four counts.

- Two rates: `proportions` (one look), `sequential` (planned looks), `anytime` (any number of looks),
  `bayesian` (a second opinion), `stratified` (over the levels of a grouping), `strata` (a verdict
  within them).
- One rate: `single_arm` (a cohort against a target).
- Before a test: `power`, and `anytime_power` for a test at any time.
- Around a test: `sample_ratio` (are the cohorts as large as planned?), `multiplicity` (many tests),
  `shrinkage` (what a winner is worth), `versions` (what the versions of an idea say together),
  `odds` (what interviews and prototypes say before it).
- Series and scores: `trend`, `discrimination`.
- What these are made of: `exact`, `score`, `boundaries`, `arguments`.

>>> from workbench.stats.proportions import Counts, compare
>>> round(compare(control=Counts(48, 80), treatment=Counts(56, 70)).pvalue, 4)
0.0089
"""
