"""From a template to published files."""
