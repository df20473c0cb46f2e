"""The benchmark: how fast deqi is, how far off, and how others fare on the same model (`make bench`)."""
