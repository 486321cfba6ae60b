"""Findings -> figures, HTML, tables, model cards. Only reads."""
