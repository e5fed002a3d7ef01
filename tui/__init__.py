"""What people see and type: Textual screens and widgets, the command line."""
