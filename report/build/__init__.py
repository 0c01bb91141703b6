"""Run records → figures, tables and the written report: `python -m report.build`."""
