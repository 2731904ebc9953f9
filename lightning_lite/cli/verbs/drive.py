"""`lightning-lite drive`: the group of the verbs for drives."""

from __future__ import annotations

from lightning_lite.cli.click_classes import Group
from lightning_lite.cli.drives.contents import cat, du, ls, tree
from lightning_lite.cli.drives.transfer import get, put, rm
from lightning_lite.cli.drives.verify import verify
from lightning_lite.cli.options import examples

_HELP = """List drives, put files into them and get files out.

A DRIVE is the name of a drive, with or without "lit://" before it. A PATH in it may be a pattern such as
'*.ckpt'; quote it, so that the shell does not expand it.
"""

_EXAMPLES = examples(
    "drive ls",
    "drive ls models -l",
    "drive get models 'run-1/*.ckpt' --to here/",
    "drive put models weights",
)

command = Group("drive", commands=[ls, tree, get, put, cat, rm, du, verify], help=_HELP, epilog=_EXAMPLES)
