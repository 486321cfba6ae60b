"""Tasks, prompts, scoring, the code sandbox: per-item results. Import from the modules."""
