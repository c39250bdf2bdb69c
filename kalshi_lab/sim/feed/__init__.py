"""The exchange's WebSocket: connections and their subscriptions, what the world and members bring them, and what may go wrong."""
