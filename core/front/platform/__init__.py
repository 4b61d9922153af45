"""The platform's own GraphQL fields, which call the wings below: audit log, calls, runs, sessions, undo."""
