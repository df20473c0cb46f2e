"""Theories on trial: every published experiment is a test the model must face; `deqi.theories(...)` runs them."""

from ..calling import callable_package

callable_package(__name__, ".scoreboard", "on_trial")
