"""Theories on trial: every published experiment is a test the model must face."""
