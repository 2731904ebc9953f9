"""What users write: components, flows, works, and the records of their calls."""
