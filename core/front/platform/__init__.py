"""The platform's own GraphQL fields, which call the rooms below: audit log, calls, runs, sessions, undo."""
