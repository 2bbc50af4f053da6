"""A study's results: statistics over seeds, tables, figures and the generated page."""
