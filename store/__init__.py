"""What is remembered: requests, jobs, images, verdicts, sessions."""
