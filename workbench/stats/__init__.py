"""Statistics of two rates, of many tests, and of series: numbers in, numbers out."""
