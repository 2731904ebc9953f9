"""The tests. Each folder stands for one package of `lightning_lite`; `support` is shared by all."""
