"""Grids of experiments, for `dora grid` on a cluster, or `python -m audiocraft_ti.grids.local` on one machine."""
