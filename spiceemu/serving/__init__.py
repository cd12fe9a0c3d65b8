"""What runs inside a server: sockets, connections, clients, moves. asyncio begins here."""
