"""Backups as a running node knows them: its schedule, when the last one was proven, and what a person should know of that.

The node does not store backups itself: it runs `pcloud backup` (`core.backup`).
"""
