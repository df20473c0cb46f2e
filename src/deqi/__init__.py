"""deqi: the theories of acupuncture for low back pain as one executable model."""

__version__ = "0.1.0"
