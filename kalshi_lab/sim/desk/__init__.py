"""The trading half of the simulated exchange: keys, accounts, orders and a matching engine, positions and money."""
