"""From records to verdicts: fits, claims, figures, pages."""
