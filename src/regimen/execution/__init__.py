"""The one scheduler, and pools that only submit and wait."""
