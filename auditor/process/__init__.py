"""The process that an audit runs in: what it isolates, borrows and puts back."""
