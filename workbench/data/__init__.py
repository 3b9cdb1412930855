"""From rows to counts: engines, event logs, following customers, learning metrics."""
