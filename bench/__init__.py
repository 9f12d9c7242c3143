"""Side-by-side measurements: fusiond against what it cannot do without, as ratios in one interleaved run.

`python -m bench` prints the table that README shows.
"""
