"""The peers that PCloud is measured against, each installed by its registry's own client into `.setup/peers`, never beside PCloud."""
