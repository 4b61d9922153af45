"""Decides whether an archive may be installed, and prepares what the owner reads before deciding. Changes nothing."""
