"""Benchmarks, as ratios within one run; absolute figures belong to the machine they were taken on."""
