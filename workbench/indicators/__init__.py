"""Leading and lagging indicators: values, lags, panels, pairs, the health score."""
