"""What looks at other servers: which level they behave like."""
