"""Between the app and the terminal: what it can show, what may reach it."""
