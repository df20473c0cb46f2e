"""The consultation: assessment, screening, options, harms and report."""
