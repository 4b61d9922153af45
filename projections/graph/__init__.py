"""The graph projection: its types (`catalog`), its port (`port`), how events become rows (`fold`), and its stores."""
