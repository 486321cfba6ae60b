"""The arithmetic of scores: sums, draws, tests, power, ranks and fits. It knows arrays and tasks, not studies."""
