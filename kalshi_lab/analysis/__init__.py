"""Analyses: a reduction in SQL to exact counts and sums, then a pure finish. No network, no clock."""
