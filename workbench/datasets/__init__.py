"""Simulated studies whose truth is known, to try the workbench on and to test it with.

Begin with `indicators.simulate_series`, two series with a known lag, or `events.simulate`, an event
log with known rates.

- `events`: event logs and counts of customers who follow a flow, and the bundled study.
- `versions`: a year of small cohorts, with four versions of one idea.
- `indicators`: leading and lagging indicators, as series and as panels of customers.
- `feedback`: remarks of simulated customers, and strategic metrics with known courses.

>>> from workbench.datasets.indicators import simulate_series
>>> simulate_series(periods=100, lag=2, strength=0.5, seed=1).lag
2
"""
