"""One client as a whole, sans-IO: its channels together, its migration, its talk with the agent."""
