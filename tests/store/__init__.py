"""What is remembered, tested."""
