"""What test modules share: studies, rows, models, made-up runs, and runs as processes."""
