"""A fake SPICE server in pure Python."""
