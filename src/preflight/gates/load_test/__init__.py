"""The load test: traffic, the generator's process, its windows, and what they show."""
