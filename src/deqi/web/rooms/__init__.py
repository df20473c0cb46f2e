"""The pages, a file a subject; each is a router, and `permissions.yaml` has a rule for each of its routes."""

from . import (
    accounts,
    assessment,
    explain,
    followup,
    link,
    login,
    options,
    patients,
    plans,
    practice,
    records,
    trail,
    treatments,
)

ROOMS = (
    login.router,
    accounts.router,
    followup.router,
    link.router,
    treatments.router,
    records.router,
    patients.router,
    assessment.router,
    options.router,
    plans.router,
    explain.router,
    practice.router,
    trail.router,
)
