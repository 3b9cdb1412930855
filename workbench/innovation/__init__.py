"""What to do next: strategy, feedback, backlog, true innovation, problems, the programme."""
