"""What a study file may say, as frozen models."""
