"""The graph projection: its types (`catalog`), its contract (`contract`), how events become rows (`fold`), and its stores."""
