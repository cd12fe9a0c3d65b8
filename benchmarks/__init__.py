"""How fast spiceemu is, as ratios to references of the same run: ``make bench``, or ``python -m benchmarks PART``."""
