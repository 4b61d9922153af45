"""Whether an archive may come in, and what the owner reads before deciding. Changes nothing."""
