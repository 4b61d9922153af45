"""The peers that PCloud is compared with, each installed by its registry's own client into `.setup/peers`, never beside
PCloud."""
