"""In-silico trials: design, recruit, simulate, analyse, report."""
