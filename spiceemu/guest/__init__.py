"""The make-believe machine: its displays, and what a user of the machine sees and touches.

Nothing in here knows connections or who is watching. What happens is told to observers, as typed values, in order.
"""
