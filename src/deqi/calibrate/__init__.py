"""Calibration on published trials: the likelihood of arm results, inference, and how predictions are judged."""
