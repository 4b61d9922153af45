"""The graph view: what it is made of (`catalog`), what it promises (`port`), how events become rows (`fold`), and its stores."""
