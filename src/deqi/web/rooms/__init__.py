"""The pages, a file a subject; each is a router, and `permissions.yaml` has a rule for each of its routes."""

from . import followup, login

ROOMS = (login.router, followup.router)
