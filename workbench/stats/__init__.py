"""Statistics: numbers in, numbers out; they know no study and no reader."""
