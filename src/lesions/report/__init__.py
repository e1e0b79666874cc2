"""The study in words and charts: HTML report, model card, comparison table, captions."""
