"""An app as a user writes it, with a module next to it."""

from __future__ import annotations

import os
import sys
import threading

from module_of_the_app import twice

from lightning_lite import CloudCompute, LightningApp, LightningFlow, LightningWork


class Twice(LightningWork):
    def run(self, number):
        print("twice", number, flush=True)
        return twice(number), self.host, self.internal_ip


class WaitFor(LightningWork):
    def run(self, path):
        with open(os.path.join(os.path.dirname(path), "up"), "w"):
            pass
        while not os.path.exists(path):
            threading.Event().wait(0.02)
        return True


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.here, self.there = Twice(), Twice(cloud_compute=CloudCompute("second"))
        self.waiter = WaitFor()

    def run(self):
        print("here", *self.here.run(1), flush=True)
        print("there", *self.there.run(2), flush=True)
        if len(sys.argv) > 1:
            print("found", self.waiter.run(sys.argv[1]), flush=True)
        self.stop()


if __name__ == "__main__":
    LightningApp(Root()).run()
