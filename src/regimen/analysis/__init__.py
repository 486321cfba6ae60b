"""Tidy tables -> findings."""
