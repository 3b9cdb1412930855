"""What a reader sees: cards, tables, figures, widgets."""
