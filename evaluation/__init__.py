"""Benchmarks, the rendered test world, and later calibration."""
