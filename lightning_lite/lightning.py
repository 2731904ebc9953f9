"""`import lightning_lite.lightning` lets apps of Lightning App run with their own imports.

From then on `lightning.app`, `lightning_app` and names such as `lightning.LightningFlow` lead to
lightning_lite, in this process and in the processes of works, unless an installed package has them.
`lightning-lite run` does the same without it.
"""

from lightning_lite.lightning_app.finder import install

install(__name__, is_needed=True)
