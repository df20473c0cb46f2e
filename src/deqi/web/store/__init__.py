"""The clinic's store: people, accounts, assessments, plans, scores, treatments, and who did what."""
