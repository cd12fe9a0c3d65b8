"""Every message of spice.proto, each declared once."""
