"""Changes its state by a request of another thread, and is killed when that is answered; or resumes."""

import os
import signal
import sys
import threading

from lightning_lite import LightningApp, LightningFlow


class Root(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.names: list[str] = []

    def run(self) -> None:
        if "--resume" in sys.argv:
            self.stop(f"the state has {self.number} and {self.names}")


def change_state() -> None:
    app.set_state({"vars": {"number": 7, "names": ["a"]}})
    os.kill(os.getpid(), signal.SIGKILL)


app = LightningApp(Root())
if "--resume" in sys.argv:
    app.run(resume=True)
else:
    running = app.start()
    threading.Thread(target=change_state).start()
    running.wait()
