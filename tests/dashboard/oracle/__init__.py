"""What every number of every page must be, in plain Python over the calls of a world: no SQL, no rollups, no formulas.

How a number is written for people is the product's own (`metrics.units`, which has tests by hand); so is the histogram.
"""
