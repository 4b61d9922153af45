"""The graph view: its types (`catalog`), its port (`port`), how events become rows (`fold`), and its stores."""
