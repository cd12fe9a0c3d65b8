"""One conversation each, sans-IO: messages in, events and bytes out. No channel sees another, a socket or a clock."""
