"""The pages, a file a subject; each is a router, and `permissions.yaml` has a rule for each of its routes."""

from . import accounts, followup, login, records, treatments

ROOMS = (login.router, accounts.router, followup.router, treatments.router, records.router)
