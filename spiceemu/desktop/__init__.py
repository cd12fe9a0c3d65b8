"""The demo: a program of the guest that draws a desktop and answers its user."""
