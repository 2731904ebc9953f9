"""What `lightning-lite doctor` looks at: the machine, the place of the root, and whether an app runs."""
