"""Interoperability: what other systems send and are sent."""
